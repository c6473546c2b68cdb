/*
 * ringtrace's log, version 3: what the recorder writes and the reader reads, in memory that they
 * share while the program runs, and in the file of -w.
 *
 * A log is a struct log_start and then records, one after the other. A record is a struct record,
 * what follows it for its kind, and zeros up to a multiple of 8 bytes; numbers are in the byte
 * order of the machine. Records stand in the order in which the program's threads began to write
 * them. A reader passes over kinds that it does not know.
 *
 *   kind              `number`         what follows
 *   RECORD_NOTHING    -                space that was not needed
 *   RECORD_PROCESS    parent's id, or  nothing: from here on this process is recorded;
 *                     0: the first one
 *   RECORD_EXIT       -                nothing: the process leaves by exit(3) or _exit(2)
 *   RECORD_RING       an enum how      struct ring_record: a ring became known, or could not be
 *                                      opened, or has another size now
 *   RECORD_RING_END   enum ring_ending struct ring_end
 *   RECORD_SQES       of the first SQE struct entries and that many SQEs, as they are handed over
 *                                      (flags: an enum sqes_flags); then, up to the end, any
 *                                      number of struct memory, each with its bytes: what the last
 *                                      SQE points to, see below
 *   RECORD_CQES       of the first CQE struct entries and that many CQEs (flags: how many before
 *                                      the first one the program had not marked as seen yet)
 *   RECORD_MISSED     how many         nothing: SQEs (flags 0) or CQEs (flags 1) were overwritten
 *                                      before they could be copied
 *   RECORD_CALL       an enum call_id  struct call_record: a call into liburing that has returned
 *                                      (flags: an enum call_kind)
 *   RECORD_BUFFERS    the group        struct entries and that many struct io_uring_buf: buffers
 *                                      that the program put into a buffer ring
 *   RECORD_CLOSE      the descriptor   nothing: close(2) is about to be called (flags: an enum
 *                                      close_flags; above them the opcode of the SQE)
 *   RECORD_SHUTDOWN   the descriptor   nothing: shutdown(2) of writing is about to be called
 *   RECORD_STREAM     the descriptor   nothing: it is a stream socket; written with --check, before
 *                     or slot (flags)  the first send on it
 *   RECORD_FUNCTION   of the first SQE the name of the function that has prepared it, and those
 * behind it (flags: how many in all), with a zero at its end
 *   RECORD_INSIDE     an enum call_id  struct inside_record: the thread has not come back from the
 *                                      call when the process ends (flags: an enum call_kind)
 *
 * SQEs and CQEs are numbered from the ring's beginning, as its heads and tails count them.
 *
 * What an SQE points to was read when it was handed over. It is a path, a time, a socket's address,
 * up to VECTORS_MOST struct iovec (readv, writev and their relatives, a vectorized send), or, of
 * sendmsg and recvmsg, a struct msghdr, and then up to VECTORS_MOST struct iovec, whose address is
 * its msg_iov, and, except of recvmsg, the socket's address at its msg_name. What the vectors point
 * to is not copied. Where the memory could not be read, the length is what could: mostly 0.
 */
#ifndef TOOLS_RINGTRACE_LOG_H
#define TOOLS_RINGTRACE_LOG_H

#include <stdint.h>

#define LOG_MAGIC   "ringtrc"
#define LOG_VERSION 3

struct log_start {
	char magic[8];
	uint32_t version;
	uint32_t size;	   /* of this structure */
	char command[496]; /* the program's command line */
};

enum record_kind {
	RECORD_NOTHING = 1,
	RECORD_PROCESS,
	RECORD_EXIT,
	RECORD_RING,
	RECORD_RING_END,
	RECORD_SQES,
	RECORD_CQES,
	RECORD_MISSED,
	RECORD_CALL,
	RECORD_BUFFERS,
	RECORD_CLOSE,
	RECORD_SHUTDOWN,
	RECORD_STREAM,
	RECORD_FUNCTION,
	RECORD_INSIDE,
};

enum close_flags {
	CLOSE_FAILS = 1,    /* it is not open */
	CLOSE_PREPARED = 2, /* an SQE with it is prepared, not submitted yet; only with --check */
	CLOSE_OPCODE = 8,   /* how far up its opcode stands */
};

enum sqes_flags {
	SQES_NEVER = 1,	    /* prepared, and never handed over */
	SQES_LEFT_OVER = 2, /* nobody has written the last one's user_data since the kernel took the
			       SQE that was there before; known only with --check=user-data */
	SQES_DEAD = 4,	    /* the last one's addr is on the stack, where nothing is in use */
};

/* While a record is being written, its size is odd; before that, it is 0. */
#define RECORD_UNFINISHED 1

struct record {
	uint32_t size; /* with this structure */
	uint16_t kind;
	uint16_t flags;
	uint32_t process, thread;
	uint32_t ring; /* counted from 1, over all processes; 0: of none */
	uint32_t number;
	uint64_t time; /* nanoseconds of CLOCK_MONOTONIC */
};

enum how { RING_OPENED, RING_FOUND, RING_RESIZED, RING_FAILED };

struct ring_record {
	uint32_t flags, features;
	int32_t fd;
	uint32_t sq_entries, cq_entries;
	uint32_t idle;	/* sq_thread_idle, where it was given */
	int32_t result; /* of RING_FAILED; sq_entries is what was asked for then */
	uint32_t reserved;
};

/* What stands in a ring's memory. */
struct ring_counters {
	uint32_t sq_head;  /* taken by the kernel */
	uint32_t sq_tail;  /* handed over to it */
	uint32_t sqe_tail; /* prepared by the program */
	uint32_t sq_flags;
	uint32_t cq_head, cq_tail, cq_overflow;
	uint32_t looks; /* calls since the last record that only looked into the CQ, in vain */
};

enum ring_ending {
	RING_CLOSED,
	RING_LEFT, /* by a program that leaves */
	RING_GONE, /* closed unseen, and so without counters */
};

struct ring_end {
	struct ring_counters counters;
};

struct entries {
	uint32_t count;
	uint32_t entry_size;
};

#define VECTORS_MOST 16

struct memory {
	uint64_t address;
	uint32_t length; /* the bytes behind this are filled up to a multiple of 8 */
	uint32_t reserved;
};

/*
 * The calls that have a hook: the function's name without its io_uring_, a CALL_ of what it may do
 * with the ring, what its arguments are, for printf(3), and where they are: ARG(n) is the
 * function's parameter n, counted from 0, and AT() stands in what one points to. OTHER() are those
 * whose hook is written out in hooks.c.
 */
#define CALLS(CALL, OTHER)                                                                         \
	CALL(submit, SUBMITS, "", 0)                                                               \
	CALL(submit_and_wait, SUBMITS, "%u", ARG(1))                                               \
	CALL(submit_and_wait_timeout, SUBMITS, "%u", ARG(2))                                       \
	CALL(submit_and_wait_min_timeout, SUBMITS, "%u", ARG(2), ARG(4))                           \
	CALL(submit_and_wait_reg, SUBMITS, "%u, registered wait %u", ARG(2), ARG(3))               \
	CALL(submit_and_get_events, SUBMITS, "", 0)                                                \
	CALL(get_events, WAITS, "", 0)                                                             \
	OTHER(wait_cqe, "")                                                                        \
	OTHER(peek_cqe, "")                                                                        \
	CALL(wait_cqes, WAITS, "%u", ARG(2))                                                       \
	CALL(wait_cqes_min_timeout, WAITS, "%u", ARG(2), ARG(4))                                   \
	CALL(wait_cqe_timeout, WAITS, "", 1)                                                       \
	CALL(peek_batch_cqe, LOOKS, "%u", ARG(2))                                                  \
	OTHER(sqring_wait, "")                                                                     \
	OTHER(enter, "fd %2$u, submit %3$u, wait for %1$u")                                        \
	OTHER(enter2, "fd %2$u, submit %3$u, wait for %1$u")                                       \
	OTHER(register, "")                                                                        \
	CALL(register_buffers, REGISTERS, "%u buffers", ARG(2))                                    \
	CALL(register_buffers_tags, REGISTERS, "%u buffers", ARG(3))                               \
	CALL(register_buffers_sparse, REGISTERS, "%u buffers", ARG(1))                             \
	CALL(register_buffers_update_tag, REGISTERS, "%u buffers from %u", ARG(4), ARG(1))         \
	CALL(unregister_buffers, REGISTERS, "", 0)                                                 \
	CALL(clone_buffers, REGISTERS, "of the ring with fd %u", AT(1, io_uring, ring_fd))         \
	CALL(clone_buffers_offset, REGISTERS, "of the ring with fd %u, %u buffers from %u to %u",  \
	     AT(1, io_uring, ring_fd), ARG(4), ARG(3), ARG(2))                                     \
	CALL(register_files, REGISTERS, "%u slots", ARG(2))                                        \
	CALL(register_files_tags, REGISTERS, "%u slots", ARG(3))                                   \
	CALL(register_files_sparse, REGISTERS, "%u slots", ARG(1))                                 \
	CALL(register_files_update, REGISTERS, "%u slots from slot %u", ARG(3), ARG(1))            \
	CALL(register_files_update_tag, REGISTERS, "%u slots from slot %u", ARG(4), ARG(1))        \
	CALL(unregister_files, REGISTERS, "", 0)                                                   \
	CALL(register_file_alloc_range, REGISTERS, "%u slots from slot %u", ARG(2), ARG(1))        \
	CALL(register_buf_ring, REGISTERS, "group %u, %u buffers", AT(1, buf_reg, group),          \
	     AT(1, buf_reg, entries), ARG(2) | AT(1, buf_reg, flags))                              \
	CALL(setup_buf_ring, REGISTERS, "group %u, %u buffers", ARG(2), ARG(1), ARG(3))            \
	CALL(unregister_buf_ring, REGISTERS, "group %u", ARG(1))                                   \
	CALL(free_buf_ring, REGISTERS, "group %u", ARG(3))                                         \
	CALL(register_ring_fd, REGISTERS, "", 0)                                                   \
	CALL(unregister_ring_fd, REGISTERS, "", 0)                                                 \
	CALL(close_ring_fd, REGISTERS, "", 0)                                                      \
	CALL(register_eventfd, REGISTERS, "fd %u", ARG(1))                                         \
	CALL(register_eventfd_async, REGISTERS, "fd %u", ARG(1))                                   \
	CALL(unregister_eventfd, REGISTERS, "", 0)                                                 \
	CALL(register_probe, REGISTERS, "", 0)                                                     \
	CALL(register_personality, REGISTERS, "", 0)                                               \
	CALL(unregister_personality, REGISTERS, "%u", ARG(1))                                      \
	CALL(register_restrictions, REGISTERS, "%u", ARG(2))                                       \
	CALL(enable_rings, REGISTERS, "", 0)                                                       \
	CALL(register_iowq_aff, REGISTERS, "", 0)                                                  \
	CALL(unregister_iowq_aff, REGISTERS, "", 0)                                                \
	CALL(register_iowq_max_workers, REGISTERS, "%u bounded, %u unbounded",                     \
	     AT(1, workers, bounded), AT(1, workers, unbounded))                                   \
	CALL(register_sync_cancel, REGISTERS, "", 0)                                               \
	CALL(register_napi, REGISTERS, "", 0)                                                      \
	CALL(unregister_napi, REGISTERS, "", 0)                                                    \
	CALL(register_region, REGISTERS, "", 0)                                                    \
	CALL(register_wait_reg, REGISTERS, "%u waits", ARG(2))                                     \
	CALL(resize_rings, REGISTERS, "%u SQEs, %u CQEs", AT(1, io_uring_params, sq_entries),      \
	     AT(1, io_uring_params, cq_entries))                                                   \
	CALL(buf_ring_head, REGISTERS, "group %u", ARG(1))                                         \
	CALL(register_clock, REGISTERS, "", 0)                                                     \
	CALL(register_ifq, REGISTERS, "", 0)                                                       \
	CALL(register_zcrx_ctrl, REGISTERS, "", 0)                                                 \
	CALL(register_bpf_filter, REGISTERS, "", 0)                                                \
	OTHER(register_bpf_filter_task, "")                                                        \
	OTHER(register_query, "")                                                                  \
	OTHER(register_sync_msg, "to the ring with fd %u, result %u")

#define CALL_ID(name, ...) CALL_##name,
enum call_id { CALLS(CALL_ID, CALL_ID) CALL_COUNT };
#undef CALL_ID

/* What a call may do with the ring. */
enum call_kind {
	CALL_SUBMITS, /* hands over the prepared SQEs */
	CALL_WAITS,   /* wants CQEs */
	CALL_LOOKS,   /* the same without waiting: goes unrecorded when there is nothing */
	CALL_REGISTERS,
};

struct call_record {
	uint64_t began;
	int32_t result;
	uint32_t arguments[4];
	uint32_t spun; /* milliseconds of processor time in which the thread only looked, in vain */
	struct ring_counters before, after;
};

#define PREPARED_MOST 4

struct inside_record {
	struct call_record call;
	struct prepared { /* the first SQEs that are prepared, and that the call does not submit */
		uint8_t opcode, flags;
		int32_t fd;
	} prepared[PREPARED_MOST];
};

/* How far one of a ring's counters is ahead of another that may have overtaken it meanwhile. */
static inline uint32_t ahead(uint32_t of, uint32_t other)
{
	return (int32_t)(of - other) > 0 ? of - other : 0;
}

#endif
