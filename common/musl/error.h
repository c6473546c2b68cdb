/*
 * Where the C library is musl (Alpine), which lacks two functions of glibc's, the Makefile has this
 * header stand in for glibc's <error.h>: error(3), and strerrorname_np(3) with the names of the
 * errors that one meets with rings and sockets.
 */
#ifndef COMMON_MUSL_ERROR_H
#define COMMON_MUSL_ERROR_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) static inline void error(int status, int error_number,
							       const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	if (error_number)
		fprintf(stderr, ": %s", strerror(error_number));
	fputc('\n', stderr);
	if (status)
		exit(status);
}

static inline const char *strerrorname_np(int error_number)
{
	static const struct {
		int number;
		const char *name;
	} names[] = {
		{0, "0"},
		{EACCES, "EACCES"},
		{EADDRINUSE, "EADDRINUSE"},
		{EADDRNOTAVAIL, "EADDRNOTAVAIL"},
		{EAFNOSUPPORT, "EAFNOSUPPORT"},
		{EAGAIN, "EAGAIN"},
		{EALREADY, "EALREADY"},
		{EBADF, "EBADF"},
		{EBADFD, "EBADFD"},
		{EBADR, "EBADR"},
		{EBUSY, "EBUSY"},
		{ECANCELED, "ECANCELED"},
		{ECONNABORTED, "ECONNABORTED"},
		{ECONNREFUSED, "ECONNREFUSED"},
		{ECONNRESET, "ECONNRESET"},
		{EEXIST, "EEXIST"},
		{EFAULT, "EFAULT"},
		{EHOSTUNREACH, "EHOSTUNREACH"},
		{EINPROGRESS, "EINPROGRESS"},
		{EINTR, "EINTR"},
		{EINVAL, "EINVAL"},
		{EIO, "EIO"},
		{EISDIR, "EISDIR"},
		{EMFILE, "EMFILE"},
		{ENETUNREACH, "ENETUNREACH"},
		{ENFILE, "ENFILE"},
		{ENOBUFS, "ENOBUFS"},
		{ENOENT, "ENOENT"},
		{ENOMEM, "ENOMEM"},
		{ENOSPC, "ENOSPC"},
		{ENOSYS, "ENOSYS"},
		{ENOTCONN, "ENOTCONN"},
		{ENOTSOCK, "ENOTSOCK"},
		{ENXIO, "ENXIO"},
		{EOPNOTSUPP, "EOPNOTSUPP"},
		{EPERM, "EPERM"},
		{EPIPE, "EPIPE"},
		{ETIME, "ETIME"},
		{ETIMEDOUT, "ETIMEDOUT"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == error_number)
			return names[i].name;
	return NULL;
}

#endif
