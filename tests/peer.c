/*
 * The peers that a server has to be right under: crowds of TCP clients that stream, ask and wait,
 * read late or never, half-close, reset and run away, and that check every byte that comes back.
 *
 * What a peer sends depends on its process, its number and the position, and no eight bytes of it
 * come twice: bytes that are lost, repeated, reordered or another peer's are caught, and the
 * message says whose they were. With --acks the answer to be checked is day 4's, "ack BYTES\n": the
 * sum of what is acknowledged must be what was sent.
 *
 * One thread, epoll(7) and plain sockets; a peer's character is settled when it is born, so that a
 * crowd of random ones can be repeated from its seed. Exit status 0 means that everything held.
 *
 * Run it: make test-programs && ./build/tests/peer --help
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/options.h"

#define PIECE_BYTES	  65536 /* most that is sent or received by one call */
#define EVENTS_A_TURN	  512
#define MOST_CONNECTING	  256 /* at a time: fewer than any listen backlog */
#define MOST_PEERS	  1000000
#define DEFAULT_BYTES	  (1 << 20)
#define SMALL_SEGMENT	  536
#define SMALL_SEND_BUFFER 16384
#define DRAIN_WINDOW	  (1 << 20)
#define RETRY_MS	  20
#define IDLE_TICK_MS	  50
#define NEVER		  UINT64_MAX

enum kind { STREAM, PING, ABSENT, RESET, FLASH, RANDOM, KINDS };
enum reading { READ_NOW, READ_LATE, READ_NEVER };
enum ending { END_HALF_CLOSE, END_CLOSE, END_RESET, END_SERVER };

/* What a peer is going to do, settled at its birth. */
struct character {
	uint64_t bytes;	     /* to send in all */
	uint64_t write_most; /* by one send */
	uint64_t message;    /* after so many bytes wait until all are answered; 0: never wait */
	uint64_t pause_every;
	unsigned pause_ms; /* of writing, every `pause_every` bytes; 0: none */
	enum reading reading;
	uint64_t pace; /* bytes read a millisecond; 0: no limit */
	enum ending ending;
	uint64_t reset_sent;	 /* reset once so many bytes are sent, or no more are taken ... */
	uint64_t reset_answered; /* ... or once so many are answered */
};

enum phase { UNBORN, CONNECTING, TALKING };

struct peer {
	struct character character;
	enum phase phase;
	uint64_t number; /* in the order of birth; never used twice */
	int fd;
	uint32_t events; /* that epoll watches */
	uint64_t sent;
	uint64_t answered;
	bool shut; /* its writing side */
	bool lost; /* the server has ended the connection; what came before is still read */
	bool reading;
	bool asking; /* a message is out, since asked_ns */
	uint64_t asked_ns;
	uint64_t sent_ns;   /* when the socket took something last */
	uint64_t write_ns;  /* not to write before, and */
	uint64_t read_ns;   /* not to read before */
	uint64_t birth_ns;  /* not to be born before */
	char ack[32];	    /* the line that has come in part */
	unsigned ack_bytes; /* of it */
};

static struct {
	enum kind kind;
	const char *address;
	const char *port;
	unsigned connections;
	unsigned total; /* peers in all; 0: as many as connections */
	uint64_t bytes; /* NEVER: not said */
	unsigned chunk;
	unsigned count;
	unsigned pace;
	unsigned blocked_ms;
	unsigned reply_ms;
	unsigned seconds;
	unsigned deadline_s;
	unsigned long seed;
	enum reading reading;
	bool acks;
	bool split;
	bool small;
	bool hold;
	bool drain;
	bool server_ends;
	bool cut_short;
	bool turned_away;
} options = {.address = "127.0.0.1",
	     .connections = 1,
	     .bytes = NEVER,
	     .chunk = PIECE_BYTES,
	     .count = 100,
	     .blocked_ms = 300,
	     .seconds = 5,
	     .deadline_s = 30};

static struct peer *peers;
static struct addrinfo *server;
static int epoll_fd;
static uint64_t now_ns;
static uint64_t end_of_births_ns = NEVER;
static uint64_t deadline_ns;
static uint64_t next_number;
static unsigned born, connecting, alive, turned_away;
static uint64_t all_sent, all_answered, replies, reply_ns, slowest_ns;
static bool complete; /* once as many peers as there are to be at a time were born */
static bool holding;
static bool announced; /* that all are ready */
static bool restless;  /* time matters to the peers */
static volatile sig_atomic_t released;

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t milliseconds(uint64_t count)
{
	return count * 1000000;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

__attribute__((noreturn, format(printf, 2, 3))) static void fail(const struct peer *peer,
								 const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fprintf(stderr, "%s: connection %" PRIu64 ": ", program_invocation_short_name,
		peer->number);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, " (sent %" PRIu64, peer->sent);
	if (peer->character.bytes == NEVER)
		fputs(", without limit", stderr);
	else
		fprintf(stderr, " of %" PRIu64, peer->character.bytes);
	fprintf(stderr, ", answered %" PRIu64 "%s)\n", peer->answered,
		peer->shut ? ", half-closed" : "");
	exit(EXIT_FAILURE);
}

/*
 * The content: eight bytes at a time, a scrambled number of process, peer and place. Scrambling can
 * be undone, which tells where stray bytes are from.
 */
#define SCRAMBLE   UINT64_C(0x9e3779b97f4a7c15)
#define UNSCRAMBLE UINT64_C(0xf1de83e19937733d) /* SCRAMBLE * UNSCRAMBLE == 1 */
#define PLACE_BITS 28
#define PEER_BITS  20

static uint64_t scramble(uint64_t x)
{
	x *= SCRAMBLE;
	x ^= x >> 32;
	x *= SCRAMBLE;
	return x ^ x >> 32;
}

static uint64_t unscramble(uint64_t x)
{
	x ^= x >> 32;
	x *= UNSCRAMBLE;
	x ^= x >> 32;
	return x * UNSCRAMBLE;
}

static uint64_t first_word(const struct peer *peer)
{
	uint64_t process = (uint64_t)getpid();

	return process << (PEER_BITS + PLACE_BITS) | peer->number << PLACE_BITS;
}

/* Writes the content from `position` on, for `length` bytes, to `out`. */
static void write_content(const struct peer *peer, uint64_t position, unsigned char *out,
			  size_t length)
{
	uint64_t first = first_word(peer);

	while (length > 0) {
		uint64_t word = scramble(first + position / 8);
		size_t skip = position % 8;
		size_t part = lesser(8 - skip, length);

		memcpy(out, (unsigned char *)&word + skip, part);
		out += part;
		position += part;
		length -= part;
	}
}

/* Says whose bytes these are, where they are anybody's. */
static void print_origin(const unsigned char *bytes, size_t length)
{
	uint64_t process = (uint64_t)getpid() << (PEER_BITS + PLACE_BITS);

	for (size_t skip = 0; skip < 8 && skip + 8 <= length; skip++) {
		uint64_t word, number, place;

		memcpy(&word, bytes + skip, sizeof(word));
		word = unscramble(word);
		if ((word ^ process) >> (PEER_BITS + PLACE_BITS) << (PEER_BITS + PLACE_BITS))
			continue;
		number = word >> PLACE_BITS & ((1 << PEER_BITS) - 1);
		place = (word & ((1 << PLACE_BITS) - 1)) * 8;
		if (number >= next_number)
			continue;
		fprintf(stderr,
			"%s: what came are the bytes of connection %" PRIu64 " at offset %" PRIu64
			"\n",
			program_invocation_short_name, number, place - skip);
		return;
	}
}

static void check_echo(struct peer *peer, const unsigned char *got, size_t length)
{
	static unsigned char expected[PIECE_BYTES];

	if (peer->answered + length > peer->sent)
		fail(peer, "%" PRIu64 " bytes more came back than were sent",
		     peer->answered + length - peer->sent);
	write_content(peer, peer->answered, expected, length);
	if (memcmp(got, expected, length) != 0) {
		size_t i = 0;

		while (got[i] == expected[i])
			i++;
		print_origin(got + i, length - i);
		fail(peer, "offset %" PRIu64 ": expected 0x%02x, got 0x%02x", peer->answered + i,
		     expected[i], got[i]);
	}
	peer->answered += length;
}

static void check_ack(struct peer *peer)
{
	unsigned long bytes;
	char end;

	peer->ack[peer->ack_bytes] = '\0';
	peer->ack_bytes = 0;
	if (sscanf(peer->ack, "ack %lu%c", &bytes, &end) != 2 || end != '\n' || bytes == 0)
		fail(peer, "'%s' is no acknowledgement", peer->ack);
	peer->answered += bytes;
	if (peer->answered > peer->sent)
		fail(peer, "more was acknowledged than sent");
}

static void check_acks(struct peer *peer, const unsigned char *got, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		peer->ack[peer->ack_bytes++] = (char)got[i];
		if (got[i] == '\n' || peer->ack_bytes == sizeof(peer->ack) - 1)
			check_ack(peer);
	}
}

static void watch(struct peer *peer, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = peer};
	int operation = EPOLL_CTL_MOD;

	if (events == peer->events)
		return;
	if (!peer->events)
		operation = EPOLL_CTL_ADD;
	else if (!events)
		operation = EPOLL_CTL_DEL; /* an ended connection would be reported all the time */
	if (epoll_ctl(epoll_fd, operation, peer->fd, &event) < 0)
		error(EXIT_FAILURE, errno, "epoll_ctl");
	peer->events = events;
}

/* A birth: a connection is begun. */
static void on_talking(struct peer *peer)
{
	peer->phase = TALKING;
	peer->sent_ns = peer->read_ns = now_ns;
	connecting--;
}

static void set_option(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		error(EXIT_FAILURE, errno, "setsockopt");
}

/*
 * What the kernel keeps for a peer that does not read: megabytes each on the loopback interface,
 * where a segment is 64 KiB. With small segments and a small window it is some tens of kilobytes.
 */
static void make_small(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_MAXSEG, SMALL_SEGMENT);
	set_option(fd, SOL_SOCKET, SO_RCVBUF, 1); /* becomes the least there is */
	set_option(fd, SOL_SOCKET, SO_SNDBUF, SMALL_SEND_BUFFER);
}

static void begin_connection(struct peer *peer, const struct character *character)
{
	int fd = socket(server->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		error(EXIT_FAILURE, errno, "socket %u", alive);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (options.small)
		make_small(fd);
	*peer = (struct peer){.character = *character, .number = next_number++, .fd = fd};
	peer->reading = character->reading == READ_NOW;
	peer->phase = CONNECTING;
	born++;
	alive++;
	connecting++;
	if (connect(fd, server->ai_addr, server->ai_addrlen) == 0)
		on_talking(peer);
	else if (errno != EINPROGRESS)
		error(EXIT_FAILURE, errno, "connect");
}

/* An end, in one of several ways. The place is free for another peer, after `wait_ms`. */
static void leave(struct peer *peer, unsigned wait_ms)
{
	close(peer->fd);
	peer->phase = UNBORN;
	peer->birth_ns = now_ns + milliseconds(wait_ms);
	alive--;
}

static void reset(struct peer *peer)
{
	struct linger at_once = {.l_onoff = 1};

	if (setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) < 0)
		error(EXIT_FAILURE, errno, "SO_LINGER");
	leave(peer, 0);
}

/* The server has ended the connection, with an error or (0) without. */
static void on_end(struct peer *peer, int error_number)
{
	bool all = peer->answered == peer->sent && peer->ack_bytes == 0;

	bool in_order = error_number == 0 && all && (peer->shut || options.server_ends);

	if (in_order || options.cut_short) {
		leave(peer, 0);
	} else if (options.turned_away && peer->answered == 0) {
		turned_away++;
		leave(peer, RETRY_MS);
		born--; /* another takes its place */
	} else {
		fail(peer, "%s", error_number ? strerror(error_number) : "end-of-file too early");
	}
}

static bool is_blocked(const struct peer *peer)
{
	return now_ns - peer->sent_ns > milliseconds(options.blocked_ms);
}

static bool between_messages(const struct peer *peer)
{
	return peer->character.message && peer->sent % peer->character.message == 0;
}

static bool may_write(const struct peer *peer)
{
	return peer->sent < peer->character.bytes && !peer->lost && now_ns >= peer->write_ns &&
	       !(between_messages(peer) && peer->answered < peer->sent);
}

/* Everybody asks only once everybody is connected. */
static bool is_waiting_for_others(const struct peer *peer)
{
	return peer->character.message && !complete && options.kind == PING;
}

static uint32_t wanted_events(const struct peer *peer)
{
	uint32_t events = 0;

	if (peer->phase == CONNECTING)
		return EPOLLOUT;
	if (peer->reading && now_ns >= peer->read_ns)
		events |= EPOLLIN;
	if (may_write(peer) && !is_waiting_for_others(peer))
		events |= EPOLLOUT;
	return events;
}

/* Bytes sent since the peer waited for answers last: pauses are counted from there. */
static uint64_t since_wait(const struct peer *peer)
{
	return peer->character.message ? peer->sent % peer->character.message : peer->sent;
}

/* How much the next send may take: no more than up to the next wait or pause. */
static size_t next_piece(const struct peer *peer)
{
	const struct character *character = &peer->character;
	uint64_t length = lesser(character->bytes - peer->sent, character->write_most);

	length = lesser(length, PIECE_BYTES);
	if (character->message)
		length = lesser(length, character->message - peer->sent % character->message);
	if (character->pause_ms)
		length = lesser(length,
				character->pause_every - since_wait(peer) % character->pause_every);
	return length;
}

static void on_sent(struct peer *peer, size_t length)
{
	const struct character *character = &peer->character;

	if (!peer->asking && character->message) {
		peer->asking = true;
		peer->asked_ns = now_ns;
	}
	peer->sent += length;
	peer->sent_ns = now_ns;
	all_sent += length;
	if (character->pause_ms && !between_messages(peer) &&
	    since_wait(peer) % character->pause_every == 0)
		peer->write_ns = now_ns + milliseconds(character->pause_ms);
}

static void on_writable(struct peer *peer)
{
	static unsigned char piece[PIECE_BYTES];
	size_t length = next_piece(peer);
	ssize_t sent;

	write_content(peer, peer->sent, piece, length);
	now_ns = clock_ns();
	sent = send(peer->fd, piece, length, MSG_NOSIGNAL);
	if (sent > 0)
		on_sent(peer, (size_t)sent);
	else if (sent < 0 && errno != EAGAIN && !options.cut_short)
		on_end(peer, errno);
	else if (sent < 0 && errno != EAGAIN)
		peer->lost = peer->reading = true;
}

static void on_answer(struct peer *peer, const unsigned char *bytes, size_t length)
{
	uint64_t before = peer->answered;

	if (options.acks)
		check_acks(peer, bytes, length);
	else
		check_echo(peer, bytes, length);
	all_answered += peer->answered - before;

	if (peer->asking && peer->answered == peer->sent && between_messages(peer)) {
		uint64_t took = clock_ns() - peer->asked_ns;

		peer->asking = false;
		replies++;
		reply_ns += took;
		if (took > slowest_ns)
			slowest_ns = took;
		if (options.reply_ms && took > milliseconds(options.reply_ms))
			fail(peer, "a reply took %" PRIu64 " ms", took / 1000000);
	}
}

/* All there is, or as much as the time since the last read allows. */
static size_t next_read(struct peer *peer)
{
	uint64_t late_ms = (now_ns - peer->read_ns) / milliseconds(1);

	if (!peer->character.pace)
		return PIECE_BYTES;
	peer->read_ns = now_ns + milliseconds(1);
	return lesser(peer->character.pace * (late_ms + 1), PIECE_BYTES);
}

static void on_readable(struct peer *peer)
{
	static unsigned char piece[PIECE_BYTES];
	ssize_t length = recv(peer->fd, piece, next_read(peer), 0);

	if (length > 0)
		on_answer(peer, piece, (size_t)length);
	else if (length == 0)
		on_end(peer, 0);
	else if (errno != EAGAIN)
		on_end(peer, errno);
}

static void on_connected(struct peer *peer)
{
	int result = 0;
	socklen_t length = sizeof(result);

	if (getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &result, &length) < 0)
		result = errno;
	on_talking(peer);
	if (result)
		on_end(peer, result);
}

/* All is sent that is to be sent: what follows is the peer's ending. */
static void end_writing(struct peer *peer)
{
	if (holding || peer->shut || peer->sent < peer->character.bytes)
		return;
	if (peer->character.ending == END_CLOSE) {
		leave(peer, 0);
	} else if (peer->character.ending == END_HALF_CLOSE && !peer->lost) {
		if (shutdown(peer->fd, SHUT_WR) < 0 && errno != ENOTCONN)
			error(EXIT_FAILURE, errno, "shutdown");
		peer->shut = true;
	}
}

/* What a peer decides, after anything has happened to it and when time has passed. */
static void decide(struct peer *peer)
{
	const struct character *character = &peer->character;

	if (peer->phase == TALKING && character->ending == END_RESET &&
	    (peer->sent >= character->reset_sent || peer->answered >= character->reset_answered ||
	     is_blocked(peer)))
		reset(peer);
	if (peer->phase == TALKING)
		end_writing(peer);
	if (peer->phase == UNBORN)
		return;
	if (character->reading == READ_LATE && (peer->shut || is_blocked(peer)))
		peer->reading = true;
	if (peer->asking && options.reply_ms &&
	    now_ns - peer->asked_ns > milliseconds(options.reply_ms))
		fail(peer, "no reply after %u ms", options.reply_ms);
	watch(peer, wanted_events(peer));
}

static void on_event(struct peer *peer, uint32_t events)
{
	if (peer->phase == CONNECTING)
		on_connected(peer);
	if (peer->phase == TALKING && peer->reading && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		on_readable(peer);
	if (peer->phase == TALKING && (events & (EPOLLOUT | EPOLLERR)) && may_write(peer) &&
	    !is_waiting_for_others(peer))
		on_writable(peer);
	if (peer->phase == TALKING)
		decide(peer);
}

/* The kinds of peers. */
static struct character character_plain(void)
{
	return (struct character){.bytes = options.bytes,
				  .write_most = options.chunk,
				  .reading = options.reading,
				  .pace = options.pace,
				  .ending = options.server_ends ? END_SERVER : END_HALF_CLOSE,
				  .reset_sent = NEVER,
				  .reset_answered = NEVER};
}

static struct character character_ping(void)
{
	struct character character = character_plain();

	character.message = options.chunk;
	character.bytes = (uint64_t)options.chunk * options.count;
	if (options.split) {
		character.pause_every = (options.chunk + 1) / 2;
		character.pause_ms = 1;
	}
	return character;
}

/* Reset at once, with data on the way in one direction, in both, and when all has stopped. */
static struct character character_reset(unsigned number)
{
	struct character character = character_plain();

	character.ending = END_RESET;
	switch (number % 5) {
	case 0: character.reset_sent = 0; break;
	case 1: character.reset_sent = number % 7 + 1; break;
	case 2: character.reset_answered = character.bytes / 2; break;
	case 3:
		character.reading = READ_NEVER;
		character.reset_sent = character.bytes / 3;
		break;
	default:
		character.reading = READ_NEVER;
		character.bytes = NEVER;
		character.reset_sent = 16 * options.bytes;
	}
	return character;
}

static struct character character_flash(unsigned number)
{
	struct character character = character_plain();

	character.bytes = 0;
	character.ending = number % 2 ? END_CLOSE : END_RESET;
	character.reset_sent = 0;
	return character;
}

static uint64_t draw(uint64_t *state)
{
	*state += SCRAMBLE;
	return scramble(*state);
}

/* A number below 2^bits, small ones as likely as great ones. */
static uint64_t draw_size(uint64_t *state, unsigned bits)
{
	unsigned width = (unsigned)(draw(state) % bits) + 1;

	return draw(state) % ((uint64_t)1 << width);
}

static void draw_reading(struct character *character, uint64_t *state)
{
	switch (draw(state) % 4) {
	case 0: character->reading = READ_LATE; break;
	case 1: /* half a second at most */
		character->pace = draw_size(state, 14) + character->bytes / 500 + 1;
		break;
	default: break;
	}
}

static void draw_ending(struct character *character, uint64_t *state)
{
	uint64_t where = draw(state) % (character->bytes + 1);

	switch (draw(state) % 8) {
	case 0:
		character->ending = END_RESET;
		character->reset_sent = where;
		break;
	case 1:
		character->ending = END_RESET;
		character->reset_answered = where;
		break;
	case 2: character->ending = END_CLOSE; break;
	default: break;
	}
}

/* Everything a peer will do follows from the seed and its number alone. */
static struct character character_random(unsigned number)
{
	struct character character = character_plain();
	uint64_t state = scramble(options.seed + 1) + number;

	character.reading = READ_NOW;
	character.write_most = draw_size(&state, 17) + 1;
	character.bytes = lesser(draw_size(&state, 22), options.bytes);
	character.bytes = lesser(character.bytes, 2000 * character.write_most);
	if (draw(&state) % 3 == 0)
		character.message = draw_size(&state, 18) + 1 + character.bytes / 1000;
	if (draw(&state) % 3 == 0) {
		character.pause_every = draw_size(&state, 18) + 1 + character.bytes / 10;
		character.pause_ms = (unsigned)(draw(&state) % 50) + 1;
	}
	draw_reading(&character, &state);
	draw_ending(&character, &state);
	return character;
}

static struct character character_of(unsigned number)
{
	switch (options.kind) {
	case PING: return character_ping();
	case RESET: return character_reset(number);
	case FLASH: return character_flash(number);
	case RANDOM: return character_random(number);
	default: return character_plain();
	}
}

/* The crowd as a whole. */
static bool births_are_over(void)
{
	return born >= options.total || now_ns >= end_of_births_ns;
}

static void give_births(void)
{
	struct character character;

	for (unsigned i = 0; i < options.connections; i++) {
		if (births_are_over() || connecting >= MOST_CONNECTING)
			return;
		if (peers[i].phase != UNBORN || now_ns < peers[i].birth_ns)
			continue;
		character = character_of(born);
		begin_connection(&peers[i], &character);
		decide(&peers[i]);
		complete = complete || born >= options.connections;
	}
}

static bool is_settled(const struct peer *peer)
{
	if (peer->phase != TALKING)
		return false;
	if (peer->character.reading == READ_NEVER)
		return peer->sent == peer->character.bytes || is_blocked(peer);
	return peer->sent == peer->character.bytes && peer->answered == peer->sent;
}

static void print_ready(void)
{
	uint64_t least = NEVER, most = 0;

	for (unsigned i = 0; i < options.connections; i++) {
		least = lesser(least, peers[i].sent);
		most = peers[i].sent > most ? peers[i].sent : most;
	}
	printf("ready: %u connections, bytes sent: %" PRIu64 ", a connection: %" PRIu64
	       " to %" PRIu64 "\n",
	       options.connections, all_sent, least, most);
	fflush(stdout);
}

/* After the hold nobody sends more; everybody reads what is owed. */
static void end_hold(void)
{
	holding = false;
	deadline_ns = now_ns + milliseconds((uint64_t)options.deadline_s * 1000);
	if (!options.drain)
		exit(EXIT_SUCCESS);
	for (unsigned i = 0; i < options.connections; i++) {
		if (peers[i].phase != TALKING)
			continue;
		if (options.small) /* or it takes minutes */
			set_option(peers[i].fd, SOL_SOCKET, SO_RCVBUF, DRAIN_WINDOW);
		peers[i].character.bytes = peers[i].sent;
		peers[i].reading = true;
		decide(&peers[i]);
	}
}

static void hold(void)
{
	if (!announced && born >= options.total) {
		announced = true;
		for (unsigned i = 0; i < options.connections; i++)
			announced = announced && is_settled(&peers[i]);
		if (announced)
			print_ready();
	}
	if (announced && released)
		end_hold();
}

static void check_deadline(void)
{
	if (now_ns < deadline_ns || (announced && holding))
		return;
	for (unsigned i = 0; i < options.connections; i++) {
		if (peers[i].phase == CONNECTING)
			fail(&peers[i], "not connected after %u s; %u peers are left",
			     options.deadline_s, alive);
		if (peers[i].phase == TALKING && (!holding || !is_settled(&peers[i])))
			fail(&peers[i], "not done after %u s; %u peers are left",
			     options.deadline_s, alive);
	}
	error(EXIT_FAILURE, 0, "not done after %u s; %u peers are left", options.deadline_s, alive);
}

static void tick(void)
{
	static uint64_t last_ns;

	if (now_ns - last_ns < milliseconds(restless ? 1 : IDLE_TICK_MS))
		return;
	last_ns = now_ns;
	for (unsigned i = 0; i < options.connections; i++)
		if (peers[i].phase != UNBORN)
			decide(&peers[i]);
	if (holding)
		hold();
	check_deadline();
}

static void run(void)
{
	struct epoll_event events[EVENTS_A_TURN];

	while (!births_are_over() || alive > 0) {
		int count;

		give_births();
		count = epoll_wait(epoll_fd, events, EVENTS_A_TURN, restless ? 1 : IDLE_TICK_MS);
		if (count < 0 && errno != EINTR)
			error(EXIT_FAILURE, errno, "epoll_wait");
		now_ns = clock_ns();
		for (int i = 0; i < count; i++)
			on_event(events[i].data.ptr, events[i].events);
		tick();
	}
}

static void on_release(int signal)
{
	(void)signal;
	released = true;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		error(EXIT_FAILURE, errno, "getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		error(EXIT_FAILURE, errno, "setrlimit");
}

static void open_crowd(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
	struct sigaction action = {.sa_handler = on_release};
	int result = getaddrinfo(options.address, options.port, &hints, &server);

	if (result)
		error(EXIT_FAILURE, 0, "%s: %s", options.address, gai_strerror(result));
	if (sigaction(SIGUSR1, &action, NULL) < 0)
		error(EXIT_FAILURE, errno, "sigaction");
	raise_descriptor_limit();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		error(EXIT_FAILURE, errno, "epoll_create1");
	peers = calloc(options.connections, sizeof(*peers));
	if (!peers)
		error(EXIT_FAILURE, errno, "%u peers", options.connections);
}

static void print_help(void)
{
	printf("Usage: %s KIND [OPTIONS] PORT\n"
	       "A crowd of peers of one kind, each checking what the server at PORT answers.\n\n"
	       "  stream   send --bytes, half-close, expect all of them and end-of-file\n"
	       "  ping     send --count messages of --chunk bytes, each when the last is answered\n"
	       "  absent   send and never read; says 'ready' once nothing is taken any more, and holds\n"
	       "  reset    reset the connection with data on the way; --total of them\n"
	       "  flash    connect and leave at once; --total of them\n"
	       "  random   any mixture of these, for --seconds; the same for the same --seed\n\n"
	       "  --to ADDR            the server's address (default 127.0.0.1)\n"
	       "  --connections N      at a time (default 1)\n"
	       "  --total N            one after the other (default: as many as connections)\n"
	       "  --bytes N            that a peer sends (default 1 MiB; absent: no end; random: at most)\n"
	       "  --chunk N            most bytes by one send, or the size of ping's messages\n"
	       "  --count N            messages a peer (default 100)\n"
	       "  --late               read only when all is sent or nothing is taken any more\n"
	       "  --pace N             read N bytes a millisecond\n"
	       "  --small              small segments and windows: little fits into the sockets\n"
	       "  --blocked-ms N       what counts as nothing taken any more (default 300)\n"
	       "  --split              ping: send each message in two parts, a millisecond apart\n"
	       "  --reply-ms N         fail when a reply to a message takes longer\n"
	       "  --acks               the answers are 'ack BYTES', not an echo\n"
	       "  --hold               say 'ready' when all is answered, and hold till SIGUSR1\n"
	       "  --drain              after the hold read all that is owed, then end\n"
	       "  --server-ends        the server ends the connection, once it has sent all\n"
	       "  --cut-short          the server may end the connection at any time\n"
	       "  --turned-away        or before the first answer: then try again\n"
	       "  --seconds N          for random (default 5)\n"
	       "  --seed N             for random (default: the time)\n"
	       "  --deadline S         fail when it takes longer (default 30); not while held\n"
	       "  --help               this text\n",
	       program_invocation_short_name);
}

enum {
	OPTION_TO = 1,
	OPTION_CONNECTIONS,
	OPTION_TOTAL,
	OPTION_BYTES,
	OPTION_CHUNK,
	OPTION_COUNT,
	OPTION_LATE,
	OPTION_PACE,
	OPTION_SPLIT,
	OPTION_SMALL,
	OPTION_BLOCKED_MS,
	OPTION_REPLY_MS,
	OPTION_ACKS,
	OPTION_HOLD,
	OPTION_DRAIN,
	OPTION_SERVER_ENDS,
	OPTION_CUT_SHORT,
	OPTION_TURNED_AWAY,
	OPTION_SECONDS,
	OPTION_SEED,
	OPTION_DEADLINE,
	OPTION_HELP
};

static const struct option long_options[] = {
	{"to", required_argument, NULL, OPTION_TO},
	{"connections", required_argument, NULL, OPTION_CONNECTIONS},
	{"total", required_argument, NULL, OPTION_TOTAL},
	{"bytes", required_argument, NULL, OPTION_BYTES},
	{"chunk", required_argument, NULL, OPTION_CHUNK},
	{"count", required_argument, NULL, OPTION_COUNT},
	{"late", no_argument, NULL, OPTION_LATE},
	{"pace", required_argument, NULL, OPTION_PACE},
	{"split", no_argument, NULL, OPTION_SPLIT},
	{"small", no_argument, NULL, OPTION_SMALL},
	{"blocked-ms", required_argument, NULL, OPTION_BLOCKED_MS},
	{"reply-ms", required_argument, NULL, OPTION_REPLY_MS},
	{"acks", no_argument, NULL, OPTION_ACKS},
	{"hold", no_argument, NULL, OPTION_HOLD},
	{"drain", no_argument, NULL, OPTION_DRAIN},
	{"server-ends", no_argument, NULL, OPTION_SERVER_ENDS},
	{"cut-short", no_argument, NULL, OPTION_CUT_SHORT},
	{"turned-away", no_argument, NULL, OPTION_TURNED_AWAY},
	{"seconds", required_argument, NULL, OPTION_SECONDS},
	{"seed", required_argument, NULL, OPTION_SEED},
	{"deadline", required_argument, NULL, OPTION_DEADLINE},
	{"help", no_argument, NULL, OPTION_HELP},
	{0},
};

static void set_flag(int option)
{
	switch (option) {
	case OPTION_LATE: options.reading = READ_LATE; break;
	case OPTION_ACKS: options.acks = true; break;
	case OPTION_SPLIT: options.split = true; break;
	case OPTION_SMALL: options.small = true; break;
	case OPTION_HOLD: options.hold = true; break;
	case OPTION_DRAIN: options.drain = true; break;
	case OPTION_SERVER_ENDS: options.server_ends = true; break;
	case OPTION_CUT_SHORT: options.cut_short = true; break;
	case OPTION_TURNED_AWAY: options.turned_away = true; break;
	case OPTION_HELP: print_help(); exit(EXIT_SUCCESS);
	default: usage_hint();
	}
}

static void set_number(int option)
{
	switch (option) {
	case OPTION_CONNECTIONS:
		options.connections = option_number("--connections", optarg, 1, MOST_PEERS);
		break;
	case OPTION_TOTAL: options.total = option_number("--total", optarg, 1, MOST_PEERS); break;
	case OPTION_BYTES: options.bytes = option_number("--bytes", optarg, 0, INT32_MAX); break;
	case OPTION_CHUNK: options.chunk = option_number("--chunk", optarg, 1, INT32_MAX); break;
	case OPTION_COUNT: options.count = option_number("--count", optarg, 1, INT32_MAX); break;
	case OPTION_PACE: options.pace = option_number("--pace", optarg, 1, PIECE_BYTES); break;
	case OPTION_BLOCKED_MS:
		options.blocked_ms = option_number("--blocked-ms", optarg, 1, 60000);
		break;
	case OPTION_REPLY_MS:
		options.reply_ms = option_number("--reply-ms", optarg, 1, 60000);
		break;
	case OPTION_SECONDS: options.seconds = option_number("--seconds", optarg, 1, 86400); break;
	case OPTION_SEED: options.seed = option_number("--seed", optarg, 0, UINT32_MAX); break;
	case OPTION_DEADLINE:
		options.deadline_s = option_number("--deadline", optarg, 1, 90000);
		break;
	default: set_flag(option);
	}
}

static enum kind kind_named(const char *name)
{
	static const char *const names[KINDS] = {"stream", "ping",  "absent",
						 "reset",  "flash", "random"};

	for (enum kind kind = 0; kind < KINDS; kind++)
		if (strcmp(names[kind], name) == 0)
			return kind;
	usage_error("'%s' is no kind of peer", name);
}

/* What a kind settles for all its peers. */
static void set_kind(enum kind kind)
{
	options.kind = kind;
	if (kind == ABSENT) {
		options.reading = READ_NEVER;
		options.hold = true;
	} else if (options.bytes == NEVER && kind != RANDOM) {
		options.bytes = DEFAULT_BYTES;
	}
	if (kind == RANDOM) {
		printf("seed: %lu\n", options.seed);
		fflush(stdout);
		options.total = MOST_PEERS;
		options.deadline_s += options.seconds;
		end_of_births_ns = now_ns + milliseconds((uint64_t)options.seconds * 1000);
	}
	if (!options.total)
		options.total = options.connections;
	deadline_ns = now_ns + milliseconds((uint64_t)options.deadline_s * 1000);
	holding = options.hold;
	restless = options.split || (kind != PING && kind != FLASH);
}

static void parse_options(int argc, char **argv)
{
	int option;

	options.seed = (unsigned long)time(NULL);
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPTION_TO)
			options.address = optarg;
		else
			set_number(option);
	}
	if (optind + 2 != argc)
		usage_error("a KIND and a PORT are needed");
	options.port = argv[optind + 1];
	set_kind(kind_named(argv[optind]));
}

int main(int argc, char **argv)
{
	now_ns = clock_ns();
	parse_options(argc, argv);
	open_crowd();
	run();
	printf("peers: %u, bytes sent: %" PRIu64 ", bytes answered: %" PRIu64
	       ", turned away: %u, mean reply: %" PRIu64 " us, slowest reply: %" PRIu64 " us\n",
	       born, all_sent, all_answered, turned_away, replies ? reply_ns / replies / 1000 : 0,
	       slowest_ns / 1000);
	freeaddrinfo(server);
	free(peers);
	close(epoll_fd);
	return EXIT_SUCCESS;
}
