/* Put between a program and the C library with LD_PRELOAD.
 *
 * HF_SHIM_FLOCK=<errno>: flock(2) always fails with this error, as on a file system without locks.
 * HF_SHIM_FLOCK=0: flock(2) always succeeds and excludes no process.
 * HF_SHIM_FLOCK=writers: an exclusive lock needs a descriptor open for writing, as on NFSv4 and CIFS.
 * HF_SHIM_FSYNC=<errno>: fsync(2) and fdatasync(2) always fail with this error.
 * HF_SHIM_SYNC_LOG=<file>: the path of every file that is flushed to disk is added to this file.
 * HF_SHIM_KILL_AT=<n>: the process is killed, as by kill -9, in place of its n-th call that changes
 * a file system (counted from 1; sockets and pipes do not count).
 * HF_SHIM_THREADS=<n>: the process has n threads beside the first and no more, as with a low `ulimit -u`.
 * HF_SHIM_THREADS_FROM=<n>: no thread starts from the n-th on (counted from 1), as when other
 * programs have used up the limit.
 * HF_SHIM_RENAME=<errno>: rename(2) always fails with this error, as across file systems (by full path
 * only, not in an open folder).
 * HF_SHIM_SYMLINK=<errno>: symlink(2) always fails with this error, as on a file system without links.
 * HF_SHIM_POWER_CUT=1: a file that is renamed before it was flushed to disk keeps its name and loses its
 * bytes, as after a power cut.
 * HF_SHIM_FOLD_CASE=1: a name is found whatever its case, as on a file system that ignores case.
 * HF_SHIM_CLOCK=<n>: the monotonic clock, and every wait that is measured by it, runs n times as fast.
 * Dates are not touched, nor is poll(2), by which Python waits for sockets.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
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
    if (text && strcmp(text, "writers") == 0) {
        if ((operation & LOCK_EX) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
            errno = EBADF;
            return -1;
        }
    } else if (text) {
        errno = atoi(text);
        return errno ? -1 : 0;
    }
    return NEXT(flock)(fd, operation);
}

static atomic_long threads;

struct work {
    void *(*run)(void *);
    void *argument;
};

static void *counted(void *argument) {
    struct work work = *(struct work *)argument;
    free(argument);
    void *result = work.run(work.argument);
    atomic_fetch_sub(&threads, 1);
    return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    static atomic_long begun;
    const char *from = getenv("HF_SHIM_THREADS_FROM");
    if (from && atomic_fetch_add(&begun, 1) + 1 >= atol(from)) return EAGAIN;
    const char *text = getenv("HF_SHIM_THREADS");
    if (!text) return NEXT(pthread_create)(thread, attributes, run, argument);
    if (atomic_fetch_add(&threads, 1) >= atol(text)) {
        atomic_fetch_sub(&threads, 1);
        return EAGAIN;
    }
    struct work *work = malloc(sizeof *work);
    *work = (struct work){run, argument};
    int result = NEXT(pthread_create)(thread, attributes, counted, work);
    if (result != 0) {
        free(work);
        atomic_fetch_sub(&threads, 1);
    }
    return result;
}

static int no_flush(void) {
    const char *text = getenv("HF_SHIM_FSYNC");
    if (text) errno = atoi(text);
    return text != NULL;
}

/* Files that were flushed, by inode: more of them than any test has. */
static _Atomic ino_t flushed[4096];
static atomic_size_t flushes;

static int is_flushed(ino_t inode) {
    for (size_t k = 0; k < 4096; k++)
        if (flushed[k] == inode) return 1;
    return 0;
}

static void note_flush(int fd) {
    struct stat status;
    if (fstat(fd, &status) == 0) flushed[atomic_fetch_add(&flushes, 1) % 4096] = status.st_ino;
    const char *log = getenv("HF_SHIM_SYNC_LOG");
    char link[64], path[4096];
    if (!log) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    FILE *file = length > 0 ? fopen(log, "a") : NULL;
    if (!file) return;
    fprintf(file, "%.*s\n", (int)length, path);
    fclose(file);
}

int fsync(int fd) {
    if (no_flush()) return -1;
    note_flush(fd);
    return NEXT(fsync)(fd);
}

int fdatasync(int fd) {
    if (no_flush()) return -1;
    note_flush(fd);
    return NEXT(fdatasync)(fd);
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
    const char *text = getenv("HF_SHIM_RENAME");
    if (text) {
        errno = atoi(text);
        return -1;
    }
    struct stat status;
    if (getenv("HF_SHIM_POWER_CUT") && lstat(from, &status) == 0 && S_ISREG(status.st_mode) &&
        !is_flushed(status.st_ino) && truncate(from, 0) != 0)
        abort();
    return NEXT(rename)(from, to);
}

int symlink(const char *target, const char *path) {
    change();
    const char *text = getenv("HF_SHIM_SYMLINK");
    if (text) {
        errno = atoi(text);
        return -1;
    }
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

/* A fast clock. It shows n times what the clock of the kernel shows, without a beginning of its own,
 * so that all processes agree. A time on it is divided by n before it is handed to the kernel. */

static long speed(void) {
    static long known;
    if (!known) {
        const char *text = getenv("HF_SHIM_CLOCK");
        long n = text ? atol(text) : 1;
        known = n > 0 ? n : 1;
    }
    return known;
}

/* The next definition of a function, looked up once. Functions that changed with time have a version. */
#define CALL(name)                                                     \
    ({                                                                 \
        static _Atomic(__typeof__(&name)) known;                       \
        __typeof__(&name) found = known;                               \
        if (!found) {                                                  \
            found = (__typeof__(&name))dlvsym(RTLD_NEXT, #name, "GLIBC_2.3.2"); \
            if (!found) found = NEXT(name);                            \
            known = found;                                             \
        }                                                              \
        found;                                                         \
    })

#define SECOND 1000000000LL

static struct timespec of_nanoseconds(long long all) {
    return (struct timespec){.tv_sec = all / SECOND, .tv_nsec = all % SECOND};
}

static long long nanoseconds(const struct timespec *time) {
    return time->tv_sec * SECOND + time->tv_nsec;
}

/* What the kernel calls this time or span; rounded up, a wait must not end early. */
static struct timespec slowed(const struct timespec *time) {
    /* "For ever" as some say it. */
    if (time->tv_sec > 1LL << 32) return *time;
    return of_nanoseconds((nanoseconds(time) + speed() - 1) / speed());
}

static int is_fast(clockid_t clock) {
    return speed() > 1 && (clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME ||
                           clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = CALL(clock_gettime)(clock, time);
    if (result == 0 && is_fast(clock)) *time = of_nanoseconds(nanoseconds(time) * speed());
    return result;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left) {
    /* A span is a span on any clock; a moment is one on its own. */
    if (speed() == 1 || ((flags & TIMER_ABSTIME) && !is_fast(clock)))
        return CALL(clock_nanosleep)(clock, flags, time, left);
    struct timespec real = slowed(time);
    int result = CALL(clock_nanosleep)(clock, flags, &real, left);
    if (result == EINTR && left && !(flags & TIMER_ABSTIME))
        *left = of_nanoseconds(nanoseconds(left) * speed());
    return result;
}

int nanosleep(const struct timespec *time, struct timespec *left) {
    int result = clock_nanosleep(CLOCK_REALTIME, 0, time, left);
    if (result == 0) return 0;
    errno = result;
    return -1;
}

int epoll_wait(int fd, struct epoll_event *events, int most, int milliseconds) {
    if (milliseconds > 0) milliseconds = (int)((milliseconds + speed() - 1) / speed());
    return CALL(epoll_wait)(fd, events, most, milliseconds);
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *time) {
    /* Which clock it goes by is the condition's secret; a date is a number that the other never reaches. */
    struct timespec real = time->tv_sec < 1000000000 ? slowed(time) : *time;
    return CALL(pthread_cond_timedwait)(cond, mutex, &real);
}

int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                           const struct timespec *time) {
    struct timespec real = is_fast(clock) ? slowed(time) : *time;
    return CALL(pthread_cond_clockwait)(cond, mutex, clock, &real);
}

int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *time) {
    struct timespec real = is_fast(clock) ? slowed(time) : *time;
    return CALL(sem_clockwait)(semaphore, clock, &real);
}

/* Rust waits for its locks, conditions and parked threads by futex(2), called by number. */
long syscall(long number, ...) {
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int k = 0; k < 6; k++) a[k] = va_arg(rest, long);
    va_end(rest);
    struct timespec real;
    if (number == SYS_futex && speed() > 1 && a[3]) {
        int operation = (int)a[1] & FUTEX_CMD_MASK;
        int has_span = operation == FUTEX_WAIT;
        int has_moment = operation == FUTEX_WAIT_BITSET && !((int)a[1] & FUTEX_CLOCK_REALTIME);
        if (has_span || has_moment) {
            real = slowed((const struct timespec *)a[3]);
            a[3] = (long)&real;
        }
    }
    return CALL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
