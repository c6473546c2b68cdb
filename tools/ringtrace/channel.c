/*
 * ringtrace: the reader's side of the channel, which brings it the program's records.
 */
#include "tools/ringtrace/channel.h"
#include "tools/ringtrace/launch.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NAP_NS	   3000000L	 /* under load: the program need not wake the reader then */
#define LOOK_NS	   100000000L	 /* how often it is asked whether the program is still there */
#define BATCH_MOST (256U << 10)	 /* bytes, after which writers get their space back */
#define STUCK_NS   1000000000ULL /* a record is unfinished for so long: its writer is gone */

struct channel *channel_create(int *segment)
{
	static const char what[] = "shared memory for the trace";
	pthread_mutexattr_t shared;
	struct channel *channel;

	*segment = must(shmget(IPC_PRIVATE, sizeof(*channel), IPC_CREAT | 0600), what);
	channel = shmat(*segment, NULL, 0);
	/* It lives as long as somebody has it attached. */
	shmctl(*segment, IPC_RMID, NULL);
	must(channel == (void *)-1 ? -1 : 0, what);
	memset(channel->data, 0, sizeof(channel->data));
	channel->program = getpid();
	pthread_mutexattr_init(&shared);
	pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&shared, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&channel->reader_lives, &shared);
	return channel;
}

/* How many processes besides the reader have the channel attached. */
static unsigned long others(int segment)
{
	struct shmid_ds status;

	return shmctl(segment, IPC_STAT, &status) < 0 ? 0 : status.shm_nattch - 1;
}

bool channel_is_at_its_end(int segment)
{
	return others(segment) <= 1;
}

/* A zombie, too, which kill(2) takes for alive, and whose parent may be waiting for us. */
static bool is_gone(uint32_t process, uint32_t thread)
{
	char path[64], text[128] = "";
	const char *state;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/task/%u/stat", process, thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	state = strrchr(text, ')');
	return !state || strchr("ZXx", state[2]);
}

/*
 * While execve(2) replaces a program, nobody has it: then the process counts, or, of a child whose
 * parent is gone, the time that this takes.
 */
static bool is_deserted(const struct channel *channel, int segment)
{
	static const struct timespec a_moment = {.tv_nsec = LOOK_NS};

	if (others(segment) > 0)
		return false;
	if (!channel->follows)
		return channel->reserved > 0 || kill(channel->program, 0) < 0;
	if (!is_gone((uint32_t)channel->program, (uint32_t)channel->program))
		return false;
	nanosleep(&a_moment, NULL);
	return others(segment) == 0;
}

static void wake_writers(struct channel *channel)
{
	atomic_fetch_add(&channel->progress, 1);
	if (channel->space_awaited)
		futex(&channel->progress, FUTEX_WAKE, INT_MAX, NULL);
}

void channel_stop(struct channel *channel)
{
	channel->stopped = true;
	wake_writers(channel);
}

static size_t finished_bytes(struct channel *channel, uint64_t from)
{
	uint64_t to_end = CHANNEL_CAPACITY - from % CHANNEL_CAPACITY;
	uint64_t length = 0;
	uint32_t size;

	/* Writers fill the channel's end with a record of no meaning; a last one has no room. */
	while (length < to_end && length < BATCH_MOST) {
		const struct record *record = channel_at(channel, from + length);

		size = atomic_load_explicit((const _Atomic uint32_t *)&record->size,
					    memory_order_acquire);
		if (!size || size & RECORD_UNFINISHED || size > to_end - length)
			break;
		length += size;
	}
	return length;
}

/* Until there may be more; short at first, so that the program has no futex to wake under load. */
static void wait_for_records(struct channel *channel, uint64_t position, bool rested)
{
	static const struct timespec nap = {.tv_nsec = NAP_NS}, look = {.tv_nsec = LOOK_NS};

	if (!rested && !channel->exiting) {
		nanosleep(&nap, NULL);
		return;
	}
	channel->reader_sleeps = 1;
	if (!finished_bytes(channel, position))
		futex(&channel->reader_sleeps, FUTEX_WAIT, 1, &look);
	channel->reader_sleeps = 0;
}

/* Whether somebody who lives may have taken space, and is about to write its size there. */
static bool is_reserving(const struct channel *channel)
{
	for (const struct seat *seat = channel->seats; seat < &channel->seats[SEATS]; seat++)
		if (seat->reserves && !is_gone(seat->process, seat->thread))
			return true;
	return false;
}

/*
 * What no one will finish, because its process has been killed, or has left from a signal handler
 * that interrupted the recorder: a record, or a hole, where not even a record's size was written.
 * Memory that nobody has written to is 0.
 */
static void skip_abandoned(struct channel *channel, uint64_t position)
{
	struct record *record = channel_at(channel, position);
	uint64_t end = channel->reserved, lap = CHANNEL_CAPACITY - position % CHANNEL_CAPACITY;
	uint32_t length = 0;

	if (record->size & RECORD_UNFINISHED &&
	    (is_gone(record->process, record->thread) || channel->exiting)) {
		record->kind = RECORD_NOTHING;
		record->size &= ~RECORD_UNFINISHED;
	} else if (!record->size && !is_reserving(channel)) {
		while (length < lap && position + length < end &&
		       !channel_at(channel, position + length)->size)
			length += 8;
		if (length)
			record->kind = RECORD_NOTHING;
		record->size |= length;
	}
}

const struct record *channel_inside(struct channel *channel)
{
	for (struct seat *seat = channel->seats; seat < &channel->seats[SEATS]; seat++)
		if (seat->is_inside && seat->process) {
			seat->is_inside = false;
			seat->record.time = clock_ns(CLOCK_MONOTONIC);
			return &seat->record;
		}
	return NULL;
}

size_t channel_wait(struct channel *channel, int segment, const struct record **records)
{
	static uint64_t position; /* how far the caller has been given records */
	uint64_t given = channel->consumed, since = clock_ns(CLOCK_MONOTONIC);
	bool rested = false, last_look = false;
	size_t length;

	if (position != given) {
		memset(channel_at(channel, given), 0, position - given);
		channel->consumed = position;
		wake_writers(channel);
	}
	while (!(length = finished_bytes(channel, position))) {
		if (channel->reserved != position && clock_ns(CLOCK_MONOTONIC) - since > STUCK_NS)
			skip_abandoned(channel, position);
		/* Who was there before the last look could not write after it. */
		if (last_look)
			return 0;
		last_look = is_deserted(channel, segment);
		if (!last_look)
			wait_for_records(channel, position, rested);
		rested = true;
	}
	*records = channel_at(channel, position);
	position += length;
	return length;
}
