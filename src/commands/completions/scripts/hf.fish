# Completion of hf and huggingface-cli in fish.
function __hf_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l current (commandline --current-token --cut-at-cursor)
    env _HF_COMPLETE=fish PROGRAM -- $words "$current" 2>/dev/null
end
complete --command hf --no-files --keep-order --arguments '(__hf_complete)'
complete --command huggingface-cli --no-files --keep-order --arguments '(__hf_complete)'
