/*
 * ringtrace: shows what passes through the rings of a program that uses liburing.
 *
 * It starts a reader and then becomes the program, in which a preloaded library, the recorder,
 * writes a log of what it sees: so the program has the process id, the standard input and output,
 * the signals and the exit status that it has without ringtrace. The reader is a process of its
 * own, no child of the program's. README.md tells the rest.
 *
 * Needs: Linux 5.19; a program that is dynamically linked with liburing 2.3 or later.
 * Run:   make ringtrace && ./ringtrace ./day01/setup
 *        ./ringtrace -w log ./day05/echo && ./ringtrace -r log
 */
#include <dirent.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/options.h"
#include "tools/ringtrace/channel.h"
#include "tools/ringtrace/launch.h"
#include "tools/ringtrace/lines.h"
#include "tools/ringtrace/names.h"

#define LOG_FLAGS     (O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC)
#define EXIT_MISTAKES 3 /* with --check=fail */

static const char *log_to_write, *log_to_read, *output_path, *json_path, *html_path;
static int log_fd = -1;
static struct log_start log_start = {
	.magic = LOG_MAGIC, .version = LOG_VERSION, .size = sizeof(log_start)};
static uint64_t log_size, log_most = UINT64_MAX; /* bytes */
static bool checks, fails, marks, follows;

static void print_help(void)
{
	printf("Usage: %s [OPTIONS] PROGRAM [ARGUMENTS]\n"
	       "       %s -r LOG [OPTIONS]\n"
	       "Runs PROGRAM and prints what passes through its rings to standard error.\n\n"
	       "  -o, --output FILE     print there instead\n"
	       "  -w, --write LOG       keep what was recorded there, and print nothing without -o\n"
	       "      --last SIZE       of that only the last SIZE, like 100M: the older half is in LOG.old\n"
	       "  -r, --read LOG        print what was recorded, to standard output\n"
	       "  -f, --follow          also the programs that PROGRAM, which may be a script, starts\n"
	       "      --check[=fail][,user-data]\n"
	       "                        warn of mistakes; with fail the exit status is 3 if there are any;\n"
	       "                        with user-data also of SQEs whose user_data nobody has set: a\n"
	       "                        program that reads it there before it writes it, finds a mark\n"
	       "      --json FILE       also write Chrome trace events, for Perfetto (ui.perfetto.dev)\n"
	       "                        or chrome://tracing\n"
	       "      --html FILE       also write a page that plays the run, for a browser\n"
	       "      --from SECONDS, --to SECONDS\n"
	       "                        only what happens between these times, in lines and in the\n"
	       "                        page; mistakes and sums are always of the whole run\n"
	       "      --only OP,OP,...  only these operations, like accept,recv, or all with this word in\n"
	       "                        their name, like cancel; calls stands for the lines of calls\n"
	       "      --slow MS         only requests and calls that take at least so many milliseconds\n"
	       "      --times           how long each operation takes: median, 99th percentile, longest\n"
	       "      --user-data hex|dec\n"
	       "                        how to print user_data (default hex)\n"
	       "      --help            this text\n",
	       program_invocation_name, program_invocation_name);
}

static void parse_user_data(const char *format)
{
	decimal_user_data = strcmp(format, "dec") == 0;
	if (!decimal_user_data && strcmp(format, "hex") != 0)
		usage_error("--user-data: '%s' is neither hex nor dec", format);
}

static void parse_check(char *how)
{
	const char *word;

	checks = true;
	while ((word = strsep(&how, ",")))
		if (strcmp(word, "fail") == 0)
			fails = true;
		else if (strcmp(word, "user-data") == 0)
			marks = true;
		else if (*word)
			usage_error("--check: '%s' is neither fail nor user-data", word);
}

static uint64_t parse_time(const char *option, const char *text, double unit_ns)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0 && seconds < 1e9))
		usage_error("%s: '%s' is no time", option, text);
	return (uint64_t)(seconds * unit_ns + 0.5);
}

/* "100M", with K, M or G. */
static uint64_t parse_size(const char *text)
{
	static const char units[] = "KMG";
	char *unit;
	double size = strtod(text, &unit);
	size_t place = strcspn(units, unit);

	if (unit == text || (*unit && (!units[place] || unit[1])) || !(size > 0 && size < 1e12))
		usage_error("--last: '%s' is no size, like 100M", text);
	return (uint64_t)(*unit ? size * (double)(1024ULL << 10 * place) : size);
}

static void parse_only(const char *list)
{
	char word[ONE_WORD_LENGTH];

	if (print_only(list, word))
		return;
	fprintf(stderr, "calls");
	for (unsigned i = 0; operation(i); i++)
		fprintf(stderr, ", %s", operation_name(i));
	fprintf(stderr, "\n");
	usage_error("--only: '%s' is no operation of io_uring, and no word of one", word);
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'},
		{"write", required_argument, NULL, 'w'},
		{"last", required_argument, NULL, 'l'},
		{"read", required_argument, NULL, 'r'},
		{"follow", no_argument, NULL, 'f'},
		{"check", optional_argument, NULL, 'c'},
		{"json", required_argument, NULL, 'j'},
		{"html", required_argument, NULL, 'H'},
		{"from", required_argument, NULL, 'F'},
		{"to", required_argument, NULL, 'T'},
		{"only", required_argument, NULL, 'n'},
		{"slow", required_argument, NULL, 's'},
		{"times", no_argument, NULL, 't'},
		{"user-data", required_argument, NULL, 'u'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	/* The + ends ringtrace's own options at PROGRAM. */
	while ((option = getopt_long(argc, argv, "+o:w:r:f", options, NULL)) != -1) {
		switch (option) {
		case 'o': output_path = optarg; break;
		case 'w': log_to_write = optarg; break;
		case 'l': log_most = parse_size(optarg); break;
		case 'r': log_to_read = optarg; break;
		case 'f': follows = true; break;
		case 'c': parse_check(optarg); break;
		case 'j': json_path = optarg; break;
		case 'H': html_path = optarg; break;
		case 'F': shown_from = parse_time("--from", optarg, 1e9); break;
		case 'T': shown_to = parse_time("--to", optarg, 1e9); break;
		case 's': shown_least = parse_time("--slow", optarg, 1e6); break;
		case 't': shows_times = true; break;
		case 'n': parse_only(optarg); break;
		case 'u': parse_user_data(optarg); break;
		case 'h': print_help(); exit(EXIT_SUCCESS);
		default: usage_hint();
		}
	}
	if (shown_from > shown_to)
		usage_error("--to is earlier than --from");
	if (log_to_read && (log_to_write || optind < argc))
		usage_error("-r reads a log: there is no PROGRAM to run then");
	if (!log_to_read && optind == argc)
		usage_error("no PROGRAM to run");
}

static int open_file(const char *path)
{
	return must(open(path, LOG_FLAGS, 0666), path);
}

static void add_consumers(void)
{
	if (!log_to_write || output_path || checks) {
		events_add_consumer(print_event);
		events_add_consumer(summarize_event);
	}
	if (json_path) {
		json_open(json_path);
		events_add_consumer(json_event);
	}
	if (checks)
		events_add_consumer(check_event);
	if (html_path) {
		html_open(html_path, log_start.command);
		events_add_consumer(html_event);
	}
}

/* A log that was kept */

/* Returns at the log's end, or with what is wrong with it. */
static const char *read_records(const char *log, size_t size, size_t *at)
{
	const struct log_start *start = (const struct log_start *)log;
	const struct record *record;
	const char *wrong = NULL;

	if (size < sizeof(*start) || memcmp(start->magic, LOG_MAGIC, sizeof(start->magic)) != 0)
		return "no log of ringtrace";
	if (start->version != LOG_VERSION || start->size != sizeof(*start))
		return "of another version of ringtrace: record again with this one";
	memcpy(log_start.command, start->command, sizeof(start->command) - 1);
	add_consumers();
	for (*at = sizeof(*start); *at < size; *at += record->size) {
		record = (const struct record *)(log + *at);
		if (size - *at < 8 || record->size > size - *at)
			return "the log is cut off";
		if (record->size < 8 || record->size % 8)
			return "the log is damaged";
		if (!events_read(record, &wrong))
			return wrong;
	}
	return NULL;
}

static int read_log(const char *path)
{
	int fd = must(open(path, O_RDONLY | O_CLOEXEC), path);
	struct stat status;
	const char *log, *wrong;
	size_t at = 0;

	must(fstat(fd, &status), path);
	log = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	must(log == MAP_FAILED && status.st_size ? -1 : 0, path);
	close(fd);
	wrong = read_records(log, (size_t)status.st_size, &at);
	events_end();
	must(lines_flush() ? 0 : -1, "writing the lines");
	if (wrong)
		error(EXIT_FAILURE, 0, "%s: at byte %zu: %s", path, at, wrong);
	return fails && check_count() ? EXIT_MISTAKES : EXIT_SUCCESS;
}

/* A log that comes from the program */

/* Gives the records to the consumers; true when they were the program's last ones. */
static bool handle_records(const struct record *records, size_t length, int segment)
{
	const struct record *record;
	const char *wrong;
	bool ended = false;

	for (size_t at = 0; at < length; at += record->size) {
		record = (const struct record *)((const char *)records + at);
		events_read(record, &wrong);
		ended |= record->kind == RECORD_EXIT && channel_is_at_its_end(segment);
	}
	return ended;
}

/* While the program, at its end, still waits for the reader. */
static void set_status(struct channel *channel)
{
	if (fails && check_count())
		channel->status = EXIT_MISTAKES;
}

/* A log that begins in the middle of a run names the processes and rings that are there. */
static bool keep_rings(void)
{
	struct begun {
		struct record process, ring;
		struct ring_record opened;
	} begun = {.process = {.size = sizeof(begun.process), .kind = RECORD_PROCESS}};
	bool kept = true;

	for (const struct ring *ring = events_rings(); ring && kept; ring = ring->next) {
		begun.process.process = (uint32_t)ring->process;
		begun.process.time = clock_ns(CLOCK_MONOTONIC);
		begun.ring = (struct record){.size = sizeof(begun.ring) + sizeof(begun.opened),
					     .kind = RECORD_RING,
					     .process = (uint32_t)ring->process,
					     .ring = ring->number,
					     .number = RING_FOUND,
					     .time = begun.process.time};
		begun.opened = ring->opened;
		if (ring->is_open)
			kept = write_all(log_fd, &begun, sizeof(begun));
	}
	return kept;
}

/* --last: what is older than half of it goes to LOG.old, in place of what was there. */
static bool turn_log_over(void)
{
	char older[PATH_MAX];

	snprintf(older, sizeof(older), "%s.old", log_to_write);
	if (rename(log_to_write, older) < 0)
		return false;
	close(log_fd);
	log_fd = open(log_to_write, LOG_FLAGS, 0666);
	log_size = 0;
	return log_fd >= 0 && write_all(log_fd, &log_start, sizeof(log_start)) && keep_rings();
}

static bool keep_records(const struct record *records, size_t length)
{
	bool is_full = log_fd >= 0 && log_size + length > log_most / 2;

	if (log_fd < 0 || ((!is_full || turn_log_over()) && write_all(log_fd, records, length))) {
		log_size += length;
		return true;
	}
	error(0, errno, "%s: the log ends here", log_to_write);
	return false;
}

static void read_channel(struct channel *channel, int segment)
{
	const struct record *records;
	bool ended = false;
	size_t length;

	while (!ended && (length = channel_wait(channel, segment, &records))) {
		if (!keep_records(records, length))
			break;
		ended = handle_records(records, length, segment);
		set_status(channel);
		if (!ended && !lines_flush()) {
			error(0, errno, "writing the lines: the trace ends here");
			break;
		}
	}
	while (!length && (records = channel_inside(channel)) &&
	       keep_records(records, records->size))
		handle_records(records, records->size, segment);
	events_end();
	lines_flush();
	set_status(channel);
	channel_stop(channel);
}

static void name_command(char **command)
{
	const size_t room = sizeof(log_start.command);
	size_t length = 0;

	for (; *command && length < room; command++)
		length += (size_t)snprintf(log_start.command + length, room - length, "%s%s",
					   length ? " " : "", *command);
}

/* What the program inherits, in contrast to our own files, stays open across execve(2). */
static void close_inherited(void)
{
	DIR *list = opendir("/proc/self/fd");
	struct dirent *entry;
	int fd;

	while (list && (entry = readdir(list))) {
		fd = atoi(entry->d_name);
		if (fd > STDERR_FILENO && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
			close(fd);
	}
	if (list)
		closedir(list);
}

/*
 * The reader outlives the program's signals: it is in a session of its own, and has of the
 * program's files only standard error. It is in the recorder's directory, and no longer keeps the
 * program's in use.
 */
static void become_reader(const char *directory)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	must(chdir(directory), directory);
	setsid();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	dup2(nothing, STDIN_FILENO);
	dup2(nothing, STDOUT_FILENO);
	close_inherited();
}

/* Returns the reader, a grandchild: the program will not find a child that it has not made. */
static pid_t start_reader(struct channel *channel, int segment, const char *directory)
{
	pid_t child, reader;
	int ready[2];

	must(pipe2(ready, O_CLOEXEC), "pipe2");
	child = must(fork(), "fork");
	if (child > 0) {
		close(ready[1]);
		waitpid(child, NULL, 0);
		if (read(ready[0], &reader, sizeof(reader)) != sizeof(reader))
			error(EXIT_FAILURE, 0, "the reader has not started");
		close(ready[0]);
		return reader;
	}
	if (fork() != 0)
		_exit(EXIT_SUCCESS);
	pthread_mutex_lock(&channel->reader_lives);
	become_reader(directory);
	reader = getpid();
	if (write(ready[1], &reader, sizeof(reader)) != sizeof(reader))
		_exit(EXIT_FAILURE);
	read_channel(channel, segment);
	exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
	struct program program;
	struct channel *channel;
	pid_t reader;
	int segment;

	parse_options(argc, argv);
	if (output_path)
		lines_fd = open_file(output_path);
	else if (log_to_read)
		lines_fd = STDOUT_FILENO;
	if (log_to_read)
		return read_log(log_to_read);

	program_find(argv[optind], &program, follows);
	name_command(argv + optind);
	add_consumers();
	if (log_to_write) {
		log_fd = open_file(log_to_write);
		must(write_all(log_fd, &log_start, sizeof(log_start)) ? 0 : -1, log_to_write);
	}
	channel = channel_create(&segment);
	channel->checks = checks;
	channel->marks = marks;
	channel->follows = follows;
	reader = start_reader(channel, segment, program.recorder);
	program_become(&program, argv + optind, segment, reader);
}
