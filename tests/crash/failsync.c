/* Makes system calls of a process fail on command: to be loaded by LD_PRELOAD.
 *
 * FAILSYNC_RULES names a file that is read anew at every call, so that the test can switch faults on
 * and off while the process runs. Each line is a rule: "<call> <pattern> <fault>". The call is sync,
 * write, rename, unlink, open (to create) or truncate; the pattern (fnmatch) is matched against the
 * whole path, for rename against the new one; the fault is EIO, ENOSPC, or, for write, short (half of
 * it is written, which is no error). No file: no faults.
 *
 * What is replaced goes to the kernel by syscall(2), so nothing here calls what it replaces.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SHORT = -1 };

/* The fault that the rules have for this call on this path: an errno, SHORT, or 0. */
static int fault(const char *call, const char *path)
{
	const char *place = getenv("FAILSYNC_RULES");
	if (place == NULL)
		return 0;
	long file = syscall(SYS_openat, AT_FDCWD, place, O_RDONLY | O_CLOEXEC, 0);
	if (file < 0)
		return 0;
	char rules[4096];
	long length = syscall(SYS_read, file, rules, sizeof rules - 1);
	syscall(SYS_close, file);
	if (length <= 0)
		return 0;
	rules[length] = 0;
	char *rest = NULL;
	for (char *line = strtok_r(rules, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char which[16], pattern[1024], what[16];
		if (sscanf(line, "%15s %1023s %15s", which, pattern, what) != 3)
			continue;
		if (strcmp(which, call) != 0 || fnmatch(pattern, path, 0) != 0)
			continue;
		if (strcmp(what, "short") == 0)
			return SHORT;
		return strcmp(what, "ENOSPC") == 0 ? ENOSPC : EIO;
	}
	return 0;
}

static int fault_of(const char *call, int file)
{
	int before = errno;
	char name[64], path[PATH_MAX];
	snprintf(name, sizeof name, "/proc/self/fd/%d", file);
	ssize_t length = readlink(name, path, sizeof path - 1);
	int found = 0;
	if (length > 0) {
		path[length] = 0;
		found = fault(call, path);
	}
	errno = before;
	return found;
}

static int failed(int error)
{
	errno = error;
	return -1;
}

int fsync(int file)
{
	int error = fault_of("sync", file);
	return error ? failed(error) : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
	int error = fault_of("sync", file);
	return error ? failed(error) : (int)syscall(SYS_fdatasync, file);
}

static size_t shortened(size_t length)
{
	return length > 1 ? length / 2 : length;
}

ssize_t write(int file, const void *bytes, size_t length)
{
	int error = fault_of("write", file);
	if (error > 0)
		return failed(error);
	return syscall(SYS_write, file, bytes, error == SHORT ? shortened(length) : length);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t place)
{
	int error = fault_of("write", file);
	if (error > 0)
		return failed(error);
	return syscall(SYS_pwrite64, file, bytes, error == SHORT ? shortened(length) : length, place);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t place)
{
	return pwrite64(file, bytes, length, place);
}

int rename(const char *from, const char *to)
{
	int error = fault("rename", to);
	return error ? failed(error)
		     : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path)
{
	int error = fault("unlink", path);
	return error ? failed(error) : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int ftruncate64(int file, off64_t length)
{
	int error = fault_of("truncate", file);
	return error ? failed(error) : (int)syscall(SYS_ftruncate, file, length);
}

int ftruncate(int file, off_t length)
{
	return ftruncate64(file, length);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	if (flags & (O_CREAT | O_TMPFILE)) {
		va_list rest;
		va_start(rest, flags);
		mode = va_arg(rest, mode_t);
		va_end(rest);
		int error = flags & O_CREAT ? fault("open", path) : 0;
		if (error)
			return failed(error);
	}
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
