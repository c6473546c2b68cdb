/*
 * ringtrace: shows what passes through the rings of a program that uses liburing.
 *
 * This is the launcher: it looks whether the program can be traced, and then becomes the program,
 * with libringtrace.so, which lies beside it, loaded in front of liburing. README.md tells the
 * rest.
 *
 * Needs: Linux 5.19; a program that is dynamically linked with liburing 2.3 or later.
 * Run:   make tools && tools/ringtrace ./day01/setup
 *        tools/ringtrace -o trace.txt --json trace.json ./day05/echo
 */
#include <elf.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/options.h"
#include "tools/ringtrace.h"

#define LIBRARY "libringtrace.so"

static void print_help(void)
{
	printf("Usage: %s [OPTIONS] PROGRAM [ARGUMENTS]\n"
	       "Runs PROGRAM and prints what passes through its rings to standard error.\n\n"
	       "  -o, --output FILE     print there instead\n"
	       "      --json FILE       also write Chrome trace events, for Perfetto (ui.perfetto.dev)\n"
	       "                        or chrome://tracing\n"
	       "      --only OP,OP,...  only these operations, like accept,recv; the word calls stands\n"
	       "                        for the lines of calls\n"
	       "      --user-data hex|dec\n"
	       "                        how to print user_data (default hex)\n"
	       "      --help            this text\n",
	       program_invocation_name);
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
	if (length >= 2 && memcmp(header, "#!", 2) == 0)
		error(EXIT_FAILURE, 0,
		      "%s: a script: only the program itself is traced, not what it starts (give the "
		      "interpreter, if that uses liburing)",
		      path);
	if (length < (ssize_t)sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		error(EXIT_FAILURE, 0, "%s: not a program", path);
	if (header->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
		error(EXIT_FAILURE, 0, "%s: of another word size than ringtrace itself", path);
}

/* Finds the program's dynamic linker; a program that names none is static. */
static void find_interpreter(const char *path, char interpreter[PATH_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ElfW(Ehdr) header = {0};
	ElfW(Phdr) segment;
	size_t i;

	if (fd < 0)
		error(EXIT_FAILURE, errno, "%s", path);
	check_header(path, &header, pread(fd, &header, sizeof(header), 0));
	for (i = 0; i < header.e_phnum; i++) {
		if (pread(fd, &segment, sizeof(segment),
			  (off_t)(header.e_phoff + i * header.e_phentsize)) != sizeof(segment))
			break;
		if (segment.p_type == PT_INTERP && segment.p_filesz < PATH_MAX &&
		    pread(fd, interpreter, segment.p_filesz, (off_t)segment.p_offset) ==
			    (ssize_t)segment.p_filesz) {
			interpreter[segment.p_filesz] = '\0';
			close(fd);
			return;
		}
	}
	error(EXIT_FAILURE, 0,
	      "%s: statically linked: its liburing is a part of it, where ringtrace cannot step in "
	      "(link it with liburing.so)",
	      path);
}

static void check_privileges(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		error(EXIT_FAILURE, errno, "%s", path);
	if ((status.st_mode & S_ISUID && status.st_uid != getuid()) ||
	    (status.st_mode & S_ISGID && status.st_gid != getgid()))
		error(EXIT_FAILURE, 0,
		      "%s: has the set-user-ID or set-group-ID bit: the dynamic linker preloads "
		      "nothing into such a program (run it as its owner)",
		      path);
}

/* The dynamic linker's list of the libraries that `path` would be run with. */
static FILE *list_libraries(const char *interpreter, const char *path, pid_t *child)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		error(EXIT_FAILURE, errno, "pipe2");
	*child = fork();
	if (*child < 0)
		error(EXIT_FAILURE, errno, "fork");
	if (*child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execl(interpreter, interpreter, "--list", path, NULL);
		error(EXIT_FAILURE, errno, "%s", interpreter);
	}
	close(ends[1]);
	return fdopen(ends[0], "r");
}

/*
 * Says it where the program does not use liburing's library, and puts the sanitizer that it was
 * built with, which has to be loaded before anything else, into `first`.
 */
static void check_libraries(const char *interpreter, const char *path, char first[PATH_MAX])
{
	char line[2 * PATH_MAX], name[PATH_MAX];
	bool found = false;
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
		      "%s: not linked with liburing.so: if it makes the io_uring system calls itself, or "
		      "has a liburing built in, nothing of its rings will be seen",
		      path);
}

static void find_library(char library[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", library, PATH_MAX - sizeof(LIBRARY));
	char *name;

	if (length < 0)
		error(EXIT_FAILURE, errno, "/proc/self/exe");
	library[length] = '\0';
	name = strrchr(library, '/') + 1;
	memcpy(name, LIBRARY, sizeof(LIBRARY));
	if (access(library, R_OK) < 0)
		error(EXIT_FAILURE, errno, "%s (make tools builds it)", library);
	if (strpbrk(library, ": "))
		error(EXIT_FAILURE, 0,
		      "%s: LD_PRELOAD takes no path with a blank or a colon (move the directory)",
		      library);
}

/* For the library to inherit, near the limit: the program gets the numbers that it always gets. */
static void pass_file(const char *name, const char *path, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | flags, 0666);
	char number[16];
	struct rlimit limit;
	int high;

	if (fd < 0)
		error(EXIT_FAILURE, errno, "%s", path);
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		error(EXIT_FAILURE, errno, "getrlimit");
	if (limit.rlim_cur > 65536)
		limit.rlim_cur = 65536;
	high = fcntl(fd, F_DUPFD, limit.rlim_cur > 24 ? (int)limit.rlim_cur - 8 : 0);
	if (high < 0)
		error(EXIT_FAILURE, errno, "%s: another descriptor for it", path);
	close(fd);
	snprintf(number, sizeof(number), "%d", high);
	setenv(name, number, 1);
}

static void pass_json_file(const char *path)
{
	struct stat status;

	pass_file(ENV_JSON_FD, path, 0);
	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode) && strcmp(path, "/dev/null") != 0)
		error(EXIT_FAILURE, 0, "--json %s: has to be a file: ringtrace writes over its end",
		      path);
}

static void preload(const char *library, const char *first)
{
	const char *before = getenv("LD_PRELOAD");
	char list[3 * PATH_MAX];

	if (before)
		setenv(ENV_LD_PRELOAD, before, 1);
	snprintf(list, sizeof(list), "%s%s%s%s%s", first, *first ? ":" : "", library,
		 before ? ":" : "", before ? before : "");
	setenv("LD_PRELOAD", list, 1);
}

static void parse_option(int option)
{
	char word[ONE_WORD_LENGTH];

	switch (option) {
	case 'o':
		pass_file(ENV_OUTPUT_FD, optarg, O_APPEND);
		break;
	case 'j':
		pass_json_file(optarg);
		break;
	case 'n':
		if (!settings_parse_only(optarg, word))
			usage_error("--only: '%s' is no operation of io_uring", word);
		setenv(ENV_ONLY, optarg, 1);
		break;
	case 'u':
		if (strcmp(optarg, "dec") == 0)
			setenv(ENV_DECIMAL, "1", 1);
		else if (strcmp(optarg, "hex") != 0)
			usage_error("--user-data: '%s' is neither hex nor dec", optarg);
		break;
	case 'h':
		print_help();
		exit(EXIT_SUCCESS);
	default:
		usage_hint();
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'},
		{"json", required_argument, NULL, 'j'},
		{"only", required_argument, NULL, 'n'},
		{"user-data", required_argument, NULL, 'u'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	char path[PATH_MAX], interpreter[PATH_MAX], library[PATH_MAX], first[PATH_MAX];
	int option;

	/* The + ends ringtrace's own options at PROGRAM. */
	while ((option = getopt_long(argc, argv, "+o:", options, NULL)) != -1)
		parse_option(option);
	if (optind == argc)
		usage_error("no PROGRAM to run");

	find_program(argv[optind], path);
	find_interpreter(path, interpreter);
	check_privileges(path);
	check_libraries(interpreter, path, first);
	find_library(library);
	preload(library, first);
	execv(path, argv + optind);
	error(EXIT_FAILURE, errno, "%s", path);
}
