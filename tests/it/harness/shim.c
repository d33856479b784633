/* Put between a program and the C library with LD_PRELOAD.
 *
 * HF_SHIM_FLOCK=<errno>: flock(2) always fails with this error, as on a file system without locks.
 * HF_SHIM_KILL_AT=<n>: the process is killed, as by kill -9, in place of its n-th call that changes
 * a file system (counted from 1; sockets and pipes do not count).
 * HF_SHIM_FOLD_CASE=1: a name is found whatever its case, as where case is not told apart.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

static void change(void) {
    static long kill_at = -1;
    if (kill_at < 0) {
        const char *text = getenv("HF_SHIM_KILL_AT");
        kill_at = text ? atol(text) : 0;
    }
    if (kill_at > 0 && atomic_fetch_add(&calls, 1) + 1 == kill_at) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int flock(int fd, int operation) {
    const char *text = getenv("HF_SHIM_FLOCK");
    if (text) {
        errno = atoi(text);
        return -1;
    }
    return NEXT(flock)(fd, operation);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (flags & (O_CREAT | O_TRUNC)) change();
    return NEXT(open64)(path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) change();
    return NEXT(write)(fd, bytes, count);
}

int rename(const char *from, const char *to) {
    change();
    return NEXT(rename)(from, to);
}

int symlink(const char *target, const char *path) {
    change();
    return NEXT(symlink)(target, path);
}

int mkdir(const char *path, mode_t mode) {
    change();
    return NEXT(mkdir)(path, mode);
}

int unlink(const char *path) {
    change();
    return NEXT(unlink)(path);
}

int rmdir(const char *path) {
    change();
    return NEXT(rmdir)(path);
}

int unlinkat(int dir, const char *path, int flags) {
    change();
    return NEXT(unlinkat)(dir, path, flags);
}

int chmod(const char *path, mode_t mode) {
    change();
    return NEXT(chmod)(path, mode);
}

int fchmod(int fd, mode_t mode) {
    change();
    return NEXT(fchmod)(fd, mode);
}

int lchown(const char *path, uid_t user, gid_t group) {
    change();
    return NEXT(lchown)(path, user, group);
}

int ftruncate64(int fd, off64_t length) {
    change();
    return NEXT(ftruncate64)(fd, length);
}

int statx(int dir, const char *path, int flags, unsigned mask, struct statx *buffer) {
    int result = NEXT(statx)(dir, path, flags, mask, buffer);
    if (result == 0 || errno != ENOENT || !getenv("HF_SHIM_FOLD_CASE")) return result;
    /* Only now: Rust asks with a null pointer, on purpose, and gets EFAULT. */
    const char *slash = strrchr(path, '/');
    if (!slash) return result;
    char found[8192];
    snprintf(found, sizeof found, "%.*s", (int)(slash - path + 1), path);
    DIR *folder = opendir(found);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        if (strcasecmp(entry->d_name, slash + 1) == 0) {
            strncat(found, entry->d_name, sizeof found - strlen(found) - 1);
            result = NEXT(statx)(dir, found, flags, mask, buffer);
            break;
        }
    }
    if (folder) closedir(folder);
    if (result != 0) errno = ENOENT;
    return result;
}
