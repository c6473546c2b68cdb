/*
 * io_uring_register_buf_ring() fails with "Invalid argument", because the memory doesn't begin at a
 * page, or the number of entries isn't a power of two.
 */
#include "mistakes/mistake.h"

static int register_ring(struct io_uring *ring, void *memory, unsigned entries)
{
	struct io_uring_buf_reg request = {
		.ring_addr = (uintptr_t)memory,
		.ring_entries = entries,
	};
	int result = io_uring_register_buf_ring(ring, &request, 0);

	printf("%u entries, %s: %s\n", entries,
	       (uintptr_t)memory % 4096 == 0 ? "at a page" : "not at a page", strerror(-result));
	return result;
}

int main(int argc, char **argv)
{
	static _Alignas(4096) char memory[8192];
	struct io_uring ring;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	if (fixed)
		return shown(register_ring(&ring, memory, 8) == 0, "8 entries, at a page");
	/* malloc() gives memory like the first, which is aligned to 16 bytes. */
	return shown(register_ring(&ring, memory + 16, 8) == -EINVAL &&
			     register_ring(&ring, memory, 6) == -EINVAL,
		     "neither is accepted");
}
