#!/usr/bin/env node
// Starts the binary of the package for this platform. Signals reach it, its exit code comes back.
"use strict";

const { spawn } = require("node:child_process");
const os = require("node:os");

const platform = `${process.platform}-${process.arch}`;
const scope = require("./package.json").name;
const name = `@${scope}/${platform}`;

function binary() {
  try {
    return require.resolve(`${name}/hf${process.platform === "win32" ? ".exe" : ""}`);
  } catch {
    const known = Object.keys(require("./package.json").optionalDependencies);
    const hint = known.includes(name)
      ? `install ${scope} again, without --omit=optional`
      : `there is none for ${platform}; build it from source`;
    process.stderr.write(`Error: The package ${name} is missing.\nHint: ${hint}\n`);
    process.exit(1);
  }
}

const child = spawn(binary(), process.argv.slice(2), { stdio: "inherit" });

// A terminal sends Ctrl-C to both: the binary decides what it means, and this waits for it. Signals that
// were sent to this process alone are passed on.
const signals = process.platform === "win32" ? ["SIGINT"] : ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"];
for (const signal of signals) {
  process.on(signal, () => {
    const fromTerminal = (signal === "SIGINT" || signal === "SIGQUIT") && process.stdin.isTTY;
    if (!fromTerminal) child.kill(signal);
  });
}

child.on("error", (error) => {
  process.stderr.write(`Error: Cannot start ${name}: ${error.message}.\n`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  // Die of the same signal, so that a shell sees what happened; the code is for systems without.
  for (const known of signals) process.removeAllListeners(known);
  process.kill(process.pid, signal);
  process.exitCode = 128 + (os.constants.signals[signal] ?? 0);
});
