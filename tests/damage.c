/*
 * For the tests: a log of ringtrace with some of its bytes changed, or some of its numbers, or its
 * end cut off, by chance of a seed. It ends where a page does: who reads on, is ended.
 *
 * Run: build/tests/damage LOG SEED >DAMAGED
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/ringtrace/log.h"

#define LARGEST (1 << 20)
#define PAGE	4096L
#define INTACT	(long)sizeof(struct log_start) /* only some seeds change it */

/* A number that lies about how much there is, or about where. */
static void change_number(unsigned char *at)
{
	static const uint32_t values[] = {0, 1, 7, 0x1000, INT32_MAX, UINT32_MAX};
	uint32_t number;

	memcpy(&number, at, sizeof(number));
	if (random() % 2)
		number = values[random() % (long)(sizeof(values) / sizeof(values[0]))];
	else
		number += (uint32_t)(random() % 64) - 32;
	memcpy(at, &number, sizeof(number));
}

int main(int argc, char **argv)
{
	static unsigned char bytes[LARGEST];
	static _Alignas(struct record) unsigned char filler[2 * PAGE];
	struct record *nothing = (struct record *)filler;
	int fd = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	ssize_t size = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	unsigned seed = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	long changes, first = seed % 4 ? INTACT : 0;

	if (size <= INTACT)
		error(EXIT_FAILURE, errno, "damage LOG SEED");
	srandom(seed);
	if (seed % 3 == 0)
		size = INTACT + random() % (size - INTACT);
	/* A few numbers, or the first of them would hide what lies behind. */
	for (changes = random() % (seed % 2 ? 20 : 4); changes > 0 && size > first + 4; changes--) {
		if (seed % 2)
			bytes[first + random() % (size - first)] = (unsigned char)random();
		else
			change_number(&bytes[first + random() % ((size - first) / 4) * 4]);
	}
	*nothing = (struct record){
		.kind = RECORD_NOTHING,
		.size = (uint32_t)(2 * PAGE - size % PAGE) / 8 * 8,
	};
	fwrite(bytes, 1, (size_t)INTACT, stdout);
	fwrite(filler, 1, nothing->size, stdout);
	fwrite(bytes + INTACT, 1, (size_t)(size - INTACT), stdout);
	return EXIT_SUCCESS;
}
