/*
 * ringtrace: what its parts know of each other. tools/README.md is the overview.
 *
 *   ringtrace.c          the launcher: options, checks, exec with LD_PRELOAD
 *   ringtrace-preload.c  the library's hooks over liburing's entry points, its start and its end
 *   ringtrace-rings.c    what is known of every ring and of the requests in it
 *   ringtrace-decode.c   SQEs, CQEs and flags as text
 *   ringtrace-output.c   options, and lines with one write each
 *   ringtrace-json.c     the same requests as Chrome trace events
 *   ringtrace-summary.c  the counts, printed at exit
 *
 * Everything but the launcher runs inside of the traced program, under one mutex, and must not
 * change anything that the program sees: errno is saved around it, its memory comes from mmap(2)
 * and not from the program's heap, and it calls no cancellation point.
 */
#ifndef TOOLS_RINGTRACE_H
#define TOOLS_RINGTRACE_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From the launcher to the library, which removes them before main() runs. */
#define ENV_OUTPUT_FD	"RINGTRACE_OUTPUT_FD"
#define ENV_JSON_FD	"RINGTRACE_JSON_FD"
#define ENV_ONLY	"RINGTRACE_ONLY"
#define ENV_DECIMAL	"RINGTRACE_DECIMAL"
#define ENV_LD_PRELOAD	"RINGTRACE_LD_PRELOAD" /* the value that LD_PRELOAD had before */
#define OPERATIONS	256		       /* sqe->opcode is a byte */
#define WORD_FOR_CALLS	"calls"		       /* in --only: the lines of calls too */
#define ONE_WORD_LENGTH 32

/* A line, or an event, while it is put together. What does not fit is cut off. */
struct text {
	size_t length;
	char data[1000];
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ringtrace-output.c */

struct settings {
	int output_fd;
	int json_fd; /* -1 without --json */
	bool decimal_user_data;
	bool only_some;	 /* --only was given: then these */
	bool show_calls; /* and with --only: the word "calls" was in it */
	bool shown[OPERATIONS];
};
extern struct settings settings;

void settings_read_environment(void);

/* Marks the operations in the comma-separated `list`; false, with the wrong word, for others. */
bool settings_parse_only(const char *list, char word[ONE_WORD_LENGTH]);

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t now(void);

/* Starts a line about a ring, or about the whole process where `ring_number` is 0. */
struct text line_start(unsigned ring_number);
void line_write(struct text *line);
void line_time_origin(uint64_t nanoseconds);
void line_after_fork(void);

/* Zeroed memory that is not the program's heap; NULL where the kernel has none left. */
void *memory_get(size_t size);
void memory_release(void *memory, size_t size);

/* Reads the program's memory like a system call would: an invalid address is not fatal. */
size_t memory_peek(uint64_t address, void *copy, size_t size);

/* ringtrace-rings.c */

#define NO_LANE 0

/* A request between its SQE and its last CQE. */
struct request {
	uint64_t user_data;
	uint64_t submitted; /* when its SQE was seen */
	uint32_t next;	    /* in its hash chain, an index; 0 ends it */
	uint32_t lane;	    /* of its span in the JSON; NO_LANE without one */
	int32_t fd;
	uint8_t opcode;
	bool may_repeat;     /* multishot or zero copy: a CQE with MORE can be its */
	bool selects_buffer; /* a CQE with a buffer id can be its */
	bool gives_fd;	     /* its result is a new descriptor */
	bool gives_slot;     /* its result is the number of the slot that the kernel chose */
	bool silent;	     /* IOSQE_CQE_SKIP_SUCCESS: only a failure has a CQE */
	bool notified;	     /* zero copy: has completed, its NOTIF is to come */
};

struct request_table {
	struct request *requests; /* [0] is not used */
	uint32_t capacity, free, outstanding, silent;
	uint32_t *chains;
};

struct ring_state {
	struct ring_state *next;
	struct io_uring view; /* where the ring's memory is; the kernel's parts of it do not move */
	unsigned number;
	unsigned sqe_seen, cqe_seen; /* as far as the SQ's and the CQ's entries have been traced */
	unsigned dropped;	     /* the CQ's overflow counter when it was last looked at */
	bool overflowing;
	struct request_table table;
};

/* One call into liburing, from before it to after it. */
enum call_kind {
	CALL_SUBMITS,	  /* hands over SQEs, and may wait */
	CALL_SUBMIT_WAIT, /* the same with a timeout: looks into the CQ before it sleeps */
	CALL_WAITS,	  /* wants wait_nr CQEs, 0 to only look */
	CALL_GETS_EVENTS, /* always enters the kernel */
	CALL_SUBMITS_GETS_EVENTS,
	CALL_REGISTERS,
};

struct call {
	const char *name;
	enum call_kind kind;
	unsigned wait_nr;
	struct io_uring *ring;
	struct ring_state *state;
	uint64_t began;
	unsigned sq_head, sqes; /* before the call: the kernel's place, what waits behind it */
	bool enters, wakes;	/* makes a system call; because the SQPOLL thread sleeps */
	char arguments[64];
};

/* `how`: "opened", or else why it becomes known only now. */
struct ring_state *ring_opened(struct io_uring *ring, const char *how);
struct ring_state *ring_find(struct io_uring *ring);
void ring_opening_failed(const char *call, unsigned entries, int result);
void ring_resized(struct ring_state *state, struct io_uring *ring);
void ring_closed(struct ring_state *state);
void rings_at_exit(void);
void rings_after_fork(void);
void call_before(struct call *call);
void call_after(struct call *call, int result);

/* ringtrace-decode.c */

/* The operation's name, "op 99" for one that this file does not know yet. */
const char *operation_name(unsigned opcode);
/* The opcode, or -1. */
int operation_number(const char *name);
/* What may be said of a request from its SQE alone: the fields of struct request. */
void sqe_read(const struct io_uring_sqe *sqe, struct request *request);
/* "slot 3", "fd 4" or "no descriptor": whose track the request belongs to. */
void sqe_target(struct text *text, const struct io_uring_sqe *sqe);
bool sqe_takes_two_entries(const struct io_uring_sqe *sqe);
void add_sqe(struct text *text, const struct io_uring_sqe *sqe);
void add_cqe_flags(struct text *text, uint32_t flags);
void add_result(struct text *text, const struct request *request, int32_t result);
void add_error(struct text *text, int error);
void add_user_data(struct text *text, uint64_t user_data);
void add_setup_flags(struct text *text, uint32_t flags);
void add_duration(struct text *text, uint64_t nanoseconds);

/* Later headers' names for what a ring of a newer kernel can contain. */
#define SETUP_CQE_MIXED (1U << 18)
#define CQE_IS_SKIPPED	(1U << 5)
#define CQE_IS_BIG	(1U << 15)

/* ringtrace-json.c */

void json_request_begins(const struct ring_state *state, const struct io_uring_sqe *sqe,
			 struct request *request);
void json_request_answered(const struct request *request, const struct io_uring_cqe *cqe);
void json_request_ends(struct request *request, const struct io_uring_cqe *cqe);
void json_call(const struct call *call, uint64_t ended);
void json_after_fork(void);

/* ringtrace-summary.c */

struct summary {
	uint64_t sqes[OPERATIONS], cqes[OPERATIONS], silent[OPERATIONS], unfinished[OPERATIONS];
	uint64_t all_cqes, unknown_cqes;
	bool used; /* there was something to count */
	uint64_t rings, overflows, dropped, missed_cqes, missed_sqes;
	uint64_t registers, submits_without_system_call, other_without_system_call;
};
extern struct summary summary;

void summary_count_error(unsigned opcode, int error);
void summary_count_system_call(const char *name);
void summary_print(void);
void summary_after_fork(void);

#endif
