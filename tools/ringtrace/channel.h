/*
 * The memory that carries the log from the program to the reader. The launcher makes it as a System
 * V segment: that needs no descriptor in the program, and the kernel counts who has it attached.
 *
 * Writers take space at `reserved`, fill in their records and finish them in any order; nobody
 * waits for a lock that a signal, a fork or a death could leave locked. The reader takes finished
 * records from `consumed` on, leaves zeros behind, and moves `consumed`. When there is no space
 * left, writers wait for it: a trace is complete, or it ends.
 *
 * A writer that dies before it has finished leaves a hole. The reader passes over it once the
 * seats say that nobody who lives can still fill it.
 */
#ifndef TOOLS_RINGTRACE_CHANNEL_H
#define TOOLS_RINGTRACE_CHANNEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tools/ringtrace/log.h"

#define ENV_CHANNEL    "RINGTRACE_CHANNEL"    /* the segment's number; removed before main() runs */
#define ENV_LD_PRELOAD "RINGTRACE_LD_PRELOAD" /* the value that LD_PRELOAD had before */

#define CHANNEL_CAPACITY (4U << 20)
#define RECORD_MOST	 (16U << 10) /* bytes: larger ones are cut into several */

/* A thread's place in the channel: what it is doing, for when it never comes back from there. */
struct seat {
	_Atomic uint32_t thread, process; /* 0: nobody's yet */
	_Atomic uint32_t reserves;	  /* may have taken space that bears no size yet */
	_Atomic uint32_t is_inside;	  /* of the call that is described below */
	struct record record;		  /* as it would stand in the log */
	struct inside_record inside;
};

#define SEATS 1024

struct channel {
	_Atomic uint64_t reserved;
	_Atomic uint64_t consumed;
	_Atomic uint32_t reader_sleeps; /* a futex: the reader waits for records */
	_Atomic uint32_t space_awaited; /* how many writers wait for `progress` to change */
	_Atomic uint32_t progress;	/* a futex */
	_Atomic uint32_t stopped;	/* nobody reads any more: the recorder only passes on */
	_Atomic uint32_t exiting; /* how many processes wait for the reader to have finished */
	_Atomic uint32_t rings;	  /* numbers given so far */
	int32_t program;	  /* the process that the launcher has become */
	uint32_t checks;	  /* whether the recorder asks what --check needs to know */
	uint32_t follows;	  /* programs that are run in its place, or by its children, too */
	uint32_t marks;		  /* whether it marks what the kernel has taken */
	_Atomic uint32_t status;  /* its exit status is to be this one, or 0: its own */
	pthread_mutex_t reader_lives; /* held by it; the kernel says to others when it has died */
	struct seat seats[SEATS];
	_Alignas(4096) char data[CHANNEL_CAPACITY];
};

static inline struct record *channel_at(struct channel *channel, uint64_t position)
{
	return (struct record *)&channel->data[position % CHANNEL_CAPACITY];
}

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static inline long futex(_Atomic uint32_t *word, int operation, uint32_t value,
			 const struct timespec *timeout)
{
	return syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

/* The reader's side, channel.c. */

struct channel *channel_create(int *segment);

/*
 * Waits for finished records, which follow one another in memory: returns how many bytes, and where
 * in `records`; 0 when no process has the channel any more. They count as consumed, and their
 * writers as heard, at the next call.
 */
size_t channel_wait(struct channel *channel, int segment, const struct record **records);

/*
 * When no process is left: the record of a call that a thread has not come back from, or NULL when
 * there is no more of them.
 */
const struct record *channel_inside(struct channel *channel);

/* Whether the process that has just written RECORD_EXIT is the last one that has the channel. */
bool channel_is_at_its_end(int segment);

/* Nobody waits for the reader from here on. */
void channel_stop(struct channel *channel);

#endif
