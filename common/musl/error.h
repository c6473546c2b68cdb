/*
 * Where the C library is musl (Alpine), the Makefile has this header stand in for glibc's
 * <error.h>, and includes it everywhere: three functions of glibc's that musl lacks, error(3),
 * strerrorname_np(3) and strerrordesc_np(3).
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

/* NULL for a number that is no error's, as in glibc. */
static inline const char *strerrorname_np(int error_number)
{
	static const char *const names[] = {
		[0] = "0",
		[EPERM] = "EPERM",
		[ENOENT] = "ENOENT",
		[ESRCH] = "ESRCH",
		[EINTR] = "EINTR",
		[EIO] = "EIO",
		[ENXIO] = "ENXIO",
		[E2BIG] = "E2BIG",
		[ENOEXEC] = "ENOEXEC",
		[EBADF] = "EBADF",
		[ECHILD] = "ECHILD",
		[EAGAIN] = "EAGAIN",
		[ENOMEM] = "ENOMEM",
		[EACCES] = "EACCES",
		[EFAULT] = "EFAULT",
		[ENOTBLK] = "ENOTBLK",
		[EBUSY] = "EBUSY",
		[EEXIST] = "EEXIST",
		[EXDEV] = "EXDEV",
		[ENODEV] = "ENODEV",
		[ENOTDIR] = "ENOTDIR",
		[EISDIR] = "EISDIR",
		[EINVAL] = "EINVAL",
		[ENFILE] = "ENFILE",
		[EMFILE] = "EMFILE",
		[ENOTTY] = "ENOTTY",
		[ETXTBSY] = "ETXTBSY",
		[EFBIG] = "EFBIG",
		[ENOSPC] = "ENOSPC",
		[ESPIPE] = "ESPIPE",
		[EROFS] = "EROFS",
		[EMLINK] = "EMLINK",
		[EPIPE] = "EPIPE",
		[EDOM] = "EDOM",
		[ERANGE] = "ERANGE",
		[EDEADLK] = "EDEADLK",
		[ENAMETOOLONG] = "ENAMETOOLONG",
		[ENOLCK] = "ENOLCK",
		[ENOSYS] = "ENOSYS",
		[ENOTEMPTY] = "ENOTEMPTY",
		[ELOOP] = "ELOOP",
		[ENOMSG] = "ENOMSG",
		[EIDRM] = "EIDRM",
		[ECHRNG] = "ECHRNG",
		[EL2NSYNC] = "EL2NSYNC",
		[EL3HLT] = "EL3HLT",
		[EL3RST] = "EL3RST",
		[ELNRNG] = "ELNRNG",
		[EUNATCH] = "EUNATCH",
		[ENOCSI] = "ENOCSI",
		[EL2HLT] = "EL2HLT",
		[EBADE] = "EBADE",
		[EBADR] = "EBADR",
		[EXFULL] = "EXFULL",
		[ENOANO] = "ENOANO",
		[EBADRQC] = "EBADRQC",
		[EBADSLT] = "EBADSLT",
		[EBFONT] = "EBFONT",
		[ENOSTR] = "ENOSTR",
		[ENODATA] = "ENODATA",
		[ETIME] = "ETIME",
		[ENOSR] = "ENOSR",
		[ENONET] = "ENONET",
		[ENOPKG] = "ENOPKG",
		[EREMOTE] = "EREMOTE",
		[ENOLINK] = "ENOLINK",
		[EADV] = "EADV",
		[ESRMNT] = "ESRMNT",
		[ECOMM] = "ECOMM",
		[EPROTO] = "EPROTO",
		[EMULTIHOP] = "EMULTIHOP",
		[EDOTDOT] = "EDOTDOT",
		[EBADMSG] = "EBADMSG",
		[EOVERFLOW] = "EOVERFLOW",
		[ENOTUNIQ] = "ENOTUNIQ",
		[EBADFD] = "EBADFD",
		[EREMCHG] = "EREMCHG",
		[ELIBACC] = "ELIBACC",
		[ELIBBAD] = "ELIBBAD",
		[ELIBSCN] = "ELIBSCN",
		[ELIBMAX] = "ELIBMAX",
		[ELIBEXEC] = "ELIBEXEC",
		[EILSEQ] = "EILSEQ",
		[ERESTART] = "ERESTART",
		[ESTRPIPE] = "ESTRPIPE",
		[EUSERS] = "EUSERS",
		[ENOTSOCK] = "ENOTSOCK",
		[EDESTADDRREQ] = "EDESTADDRREQ",
		[EMSGSIZE] = "EMSGSIZE",
		[EPROTOTYPE] = "EPROTOTYPE",
		[ENOPROTOOPT] = "ENOPROTOOPT",
		[EPROTONOSUPPORT] = "EPROTONOSUPPORT",
		[ESOCKTNOSUPPORT] = "ESOCKTNOSUPPORT",
		[EOPNOTSUPP] = "EOPNOTSUPP",
		[EPFNOSUPPORT] = "EPFNOSUPPORT",
		[EAFNOSUPPORT] = "EAFNOSUPPORT",
		[EADDRINUSE] = "EADDRINUSE",
		[EADDRNOTAVAIL] = "EADDRNOTAVAIL",
		[ENETDOWN] = "ENETDOWN",
		[ENETUNREACH] = "ENETUNREACH",
		[ENETRESET] = "ENETRESET",
		[ECONNABORTED] = "ECONNABORTED",
		[ECONNRESET] = "ECONNRESET",
		[ENOBUFS] = "ENOBUFS",
		[EISCONN] = "EISCONN",
		[ENOTCONN] = "ENOTCONN",
		[ESHUTDOWN] = "ESHUTDOWN",
		[ETOOMANYREFS] = "ETOOMANYREFS",
		[ETIMEDOUT] = "ETIMEDOUT",
		[ECONNREFUSED] = "ECONNREFUSED",
		[EHOSTDOWN] = "EHOSTDOWN",
		[EHOSTUNREACH] = "EHOSTUNREACH",
		[EALREADY] = "EALREADY",
		[EINPROGRESS] = "EINPROGRESS",
		[ESTALE] = "ESTALE",
		[EUCLEAN] = "EUCLEAN",
		[ENOTNAM] = "ENOTNAM",
		[ENAVAIL] = "ENAVAIL",
		[EISNAM] = "EISNAM",
		[EREMOTEIO] = "EREMOTEIO",
		[EDQUOT] = "EDQUOT",
		[ENOMEDIUM] = "ENOMEDIUM",
		[EMEDIUMTYPE] = "EMEDIUMTYPE",
		[ECANCELED] = "ECANCELED",
		[ENOKEY] = "ENOKEY",
		[EKEYEXPIRED] = "EKEYEXPIRED",
		[EKEYREVOKED] = "EKEYREVOKED",
		[EKEYREJECTED] = "EKEYREJECTED",
		[EOWNERDEAD] = "EOWNERDEAD",
		[ENOTRECOVERABLE] = "ENOTRECOVERABLE",
		[ERFKILL] = "ERFKILL",
		[EHWPOISON] = "EHWPOISON",
	};
	const size_t count = sizeof(names) / sizeof(names[0]);

	return error_number >= 0 && (size_t)error_number < count ? names[error_number] : NULL;
}

static inline const char *strerrordesc_np(int error_number)
{
	return strerrorname_np(error_number) ? strerror(error_number) : NULL;
}

#endif
