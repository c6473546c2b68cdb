/*
 * For the tests: a file with some of its bytes changed, or its end cut off, by chance of a seed.
 *
 * Run: build/tests/damage FILE SEED >DAMAGED
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LARGEST (1 << 20)
#define INTACT	512 /* bytes that say what the file is: only some seeds change them */

int main(int argc, char **argv)
{
	static unsigned char bytes[LARGEST];
	int fd = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	ssize_t size = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	unsigned seed = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	long changes, first = seed % 4 ? INTACT : 0;

	if (size <= INTACT)
		error(EXIT_FAILURE, errno, "damage FILE SEED");
	srandom(seed);
	if (seed % 3 == 0)
		size = first + random() % (size - first);
	for (changes = random() % 20; changes > 0 && size > first; changes--)
		bytes[first + random() % (size - first)] = (unsigned char)random();
	fwrite(bytes, 1, (size_t)size, stdout);
	return EXIT_SUCCESS;
}
