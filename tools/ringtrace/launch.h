/*
 * ringtrace: becoming the program that is to be traced.
 */
#ifndef TOOLS_RINGTRACE_LAUNCH_H
#define TOOLS_RINGTRACE_LAUNCH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* The result of a system call without which there is no trace: a failure is said, and the end. */
int must(int result, const char *what);

struct program {
	char path[PATH_MAX];
	char interpreter[PATH_MAX];
	char first[PATH_MAX];	 /* a library that has to be loaded before any other, or "" */
	char recorder[PATH_MAX]; /* the recorder's directory */
};

/*
 * Finds the program that execvp(3) would run; ends with a message where it cannot be traced. With
 * `follows` it may be one that only starts others.
 */
void program_find(const char *name, struct program *program, bool follows);

/*
 * Becomes the program, with the recorder loaded in front of liburing and writing to `segment`. The
 * reader is a process whose working directory is the recorder's.
 */
void program_become(const struct program *program, char **arguments, int segment, pid_t reader)
	__attribute__((noreturn));

#endif
