/*
 * ringtrace: looks whether a program can be traced, and then becomes it, with libringtrace.so
 * loaded in front of liburing.
 */
#include "tools/ringtrace/launch.h"
#include "tools/ringtrace/channel.h"

#include <elf.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DIRECTORY "build" /* beside ringtrace */
#define LIBRARY	  "libringtrace.so"
#define INSTEAD	  "what works there, as root: bpftrace -c PROGRAM tools/ringtrace/requests.bt"

int must(int result, const char *what)
{
	if (result < 0)
		error(EXIT_FAILURE, errno, "%s", what);
	return result;
}

/* The path that execvp(3) will run: of PROGRAM itself, or of the first in PATH. */
static void find_program(const char *name, char path[PATH_MAX])
{
	const char *directory = getenv("PATH");
	size_t length;

	if (strchr(name, '/') || !directory) {
		snprintf(path, PATH_MAX, "%s", name);
		return;
	}
	for (;; directory += length + 1) {
		length = strcspn(directory, ":");
		snprintf(path, PATH_MAX, "%.*s%s%s", (int)length, directory, length ? "/" : "",
			 name);
		if (access(path, X_OK) == 0)
			return;
		if (!directory[length])
			error(EXIT_FAILURE, 0, "%s: no such program in PATH", name);
	}
}

static void check_header(const char *path, const ElfW(Ehdr) * header, ssize_t length)
{
	if (length < (ssize_t)sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		error(EXIT_FAILURE, 0, "%s: not a program", path);
	if (header->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
		error(EXIT_FAILURE, 0, "%s: of another word size than ringtrace itself", path);
}

/* Finds the program's dynamic linker; a program that names none is static. False for a script. */
static bool find_interpreter(const char *path, char interpreter[PATH_MAX], bool follows)
{
	int fd = must(open(path, O_RDONLY | O_CLOEXEC), path);
	ElfW(Ehdr) header = {0};
	ElfW(Phdr) segment;
	ssize_t length;

	length = pread(fd, &header, sizeof(header), 0);
	if (memcmp(&header, "#!", 2) == 0 && follows) {
		close(fd);
		return false;
	}
	if (memcmp(&header, "#!", 2) == 0)
		error(EXIT_FAILURE, 0,
		      "%s: a script: with -f, what it starts is traced, too (without, give the "
		      "interpreter, if that uses liburing)",
		      path);
	check_header(path, &header, length);
	for (size_t i = 0; i < header.e_phnum; i++) {
		if (pread(fd, &segment, sizeof(segment),
			  (off_t)(header.e_phoff + i * header.e_phentsize)) != sizeof(segment))
			break;
		if (segment.p_type == PT_INTERP && segment.p_filesz < PATH_MAX &&
		    pread(fd, interpreter, segment.p_filesz, (off_t)segment.p_offset) ==
			    (ssize_t)segment.p_filesz) {
			interpreter[segment.p_filesz] = '\0';
			close(fd);
			return true;
		}
	}
	error(EXIT_FAILURE, 0,
	      "%s: statically linked: its liburing is a part of it, where ringtrace cannot step in "
	      "(link it with liburing.so; " INSTEAD ")",
	      path);
	return false;
}

static void check_privileges(const char *path)
{
	struct stat status;

	must(stat(path, &status), path);
	if ((status.st_mode & S_ISUID && status.st_uid != getuid()) ||
	    (status.st_mode & S_ISGID && status.st_gid != getgid()) ||
	    getxattr(path, "security.capability", NULL, 0) > 0)
		error(EXIT_FAILURE, 0,
		      "%s: has the set-user-ID or set-group-ID bit, or capabilities: the dynamic linker "
		      "preloads nothing into such a program (trace a copy of it, which has none)",
		      path);
}

/* The dynamic linker's list of the libraries that `path` would be run with. */
static FILE *list_libraries(const char *interpreter, const char *path, pid_t *child)
{
	int ends[2];

	must(pipe2(ends, O_CLOEXEC), "pipe2");
	*child = must(fork(), "fork");
	if (*child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		must(execl(interpreter, interpreter, "--list", path, NULL), interpreter);
	}
	close(ends[1]);
	return fdopen(ends[0], "r");
}

/*
 * Says it where the program does not use liburing's library, and puts the sanitizer that it was
 * built with, which has to be loaded before anything else, into `first`.
 */
static void check_libraries(const char *interpreter, const char *path, char first[PATH_MAX],
			    bool follows)
{
	char line[2 * PATH_MAX], name[PATH_MAX];
	bool found = follows;
	int status = 0;
	pid_t child;
	FILE *list = list_libraries(interpreter, path, &child);

	first[0] = '\0';
	while (list && fgets(line, sizeof(line), list)) {
		if (sscanf(line, " %4095s", name) != 1)
			continue;
		if (strstr(name, "liburing.so") || strstr(name, "liburing-ffi.so"))
			found = true;
		if (strncmp(name, "libasan.so", 10) == 0 || strncmp(name, "libtsan.so", 10) == 0)
			snprintf(first, PATH_MAX, "%s", name);
	}
	if (list)
		fclose(list);
	waitpid(child, &status, 0);
	/* Where the list fails, the program will too, and its linker says best why. */
	if (!found && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		error(0, 0,
		      "%s: not linked with liburing.so: if it makes the io_uring system calls itself, as "
		      "programs in other languages than C do, or has a liburing built in, nothing of its "
		      "rings will be seen (" INSTEAD ")",
		      path);
}

static void find_recorder(char directory[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", directory, PATH_MAX - sizeof(DIRECTORY));
	char library[PATH_MAX + sizeof(LIBRARY)];

	must((int)length, "/proc/self/exe");
	directory[length] = '\0';
	memcpy(strrchr(directory, '/') + 1, DIRECTORY, sizeof(DIRECTORY));
	snprintf(library, sizeof(library), "%s/" LIBRARY, directory);
	if (access(library, R_OK) < 0)
		error(EXIT_FAILURE, errno, "%s (make ringtrace builds it)", library);
}

/*
 * Puts the recorder into LD_PRELOAD, whose paths end at blanks and colons, and in which $ has a
 * meaning: a directory that has one of them in its name is reached through the reader, which is in
 * it, and lives until the program has ended.
 */
static void preload(const struct program *program, pid_t reader)
{
	const char *before = getenv("LD_PRELOAD"), *first = program->first;
	char directory[PATH_MAX], list[4 * PATH_MAX];

	snprintf(directory, sizeof(directory), "%s", program->recorder);
	if (strpbrk(directory, " :$"))
		snprintf(directory, sizeof(directory), "/proc/%d/cwd", (int)reader);
	snprintf(list, sizeof(list), "%s%s%s/" LIBRARY "%s%s", first, *first ? ":" : "", directory,
		 before ? ":" : "", before ? before : "");
	if (before)
		setenv(ENV_LD_PRELOAD, before, 1);
	setenv("LD_PRELOAD", list, 1);
}

void program_find(const char *name, struct program *program, bool follows)
{
	find_program(name, program->path);
	check_privileges(program->path);
	program->first[0] = '\0';
	if (find_interpreter(program->path, program->interpreter, follows))
		check_libraries(program->interpreter, program->path, program->first, follows);
	find_recorder(program->recorder);
}

void program_become(const struct program *program, char **arguments, int segment, pid_t reader)
{
	char number[16];

	preload(program, reader);
	snprintf(number, sizeof(number), "%d", segment);
	setenv(ENV_CHANNEL, number, 1);
	must(execv(program->path, arguments), program->path);
	abort();
}
