#include "common/buffers.h"

#include <assert.h>

#include "common/memory.h"
#include "common/ring.h"

void buffers_map(struct buffers *buffers, unsigned shared, unsigned shared_bytes, unsigned slots,
		 unsigned own_bytes)
{
	*buffers = (struct buffers){
		.shared = shared,
		.shared_bytes = shared_bytes,
		.slots = slots,
		.own_bytes = own_bytes,
		.ring = memory_map(shared, sizeof(struct io_uring_buf)),
		.shared_memory = memory_map(shared, shared_bytes),
		.own_memory = own_bytes > 0 ? memory_map(slots, own_bytes) : NULL,
		.by_number = memory_map((size_t)shared + slots, sizeof(struct buffer)),
	};
}

void buffers_register(struct buffers *buffers, struct io_uring *ring, unsigned short group)
{
	struct io_uring_buf_reg registration = {
		.ring_addr = (unsigned long)buffers->ring,
		.ring_entries = buffers->shared,
		.bgid = group,
	};
	int result;

	do
		result = io_uring_register_buf_ring(ring, &registration, 0);
	while (ring_wait_for_memory(result));
	ring_check_register(result, "io_uring_register_buf_ring",
			    "buffer rings, which Linux 5.19 has");
	io_uring_buf_ring_init(buffers->ring);
	buffers->group = group;
	for (unsigned number = 0; number < buffers->shared; number++)
		buffers_put_into_ring(buffers, number);
}

char *buffers_memory(const struct buffers *buffers, unsigned number)
{
	if (number < buffers->shared)
		return buffers->shared_memory + (size_t)number * buffers->shared_bytes;
	return buffers->own_memory + (size_t)(number - buffers->shared) * buffers->own_bytes;
}

void buffers_put_into_ring(struct buffers *buffers, unsigned number)
{
	assert(number < buffers->shared && buffers->by_number[number].length == 0);
	io_uring_buf_ring_add(buffers->ring, buffers_memory(buffers, number), buffers->shared_bytes,
			      (unsigned short)number, io_uring_buf_ring_mask(buffers->shared), 0);
	io_uring_buf_ring_advance(buffers->ring, 1);
	buffers->in_ring++;
}

unsigned buffers_received_into(struct buffers *buffers, unsigned slot,
			       const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_BUFFER))
		return buffers->shared + slot;
	buffers->in_ring--;
	return cqe->flags >> IORING_CQE_BUFFER_SHIFT;
}

void buffer_queue_append(struct buffer_queue *queue, struct buffers *buffers, unsigned number,
			 unsigned length)
{
	assert(length > 0 && buffers->by_number[number].length == 0);
	buffers->by_number[number].length = length;
	if (queue->count++ == 0)
		queue->first = number;
	else
		buffers->by_number[queue->last].next = number;
	queue->last = number;
}

static void release_first(struct buffer_queue *queue, struct buffers *buffers)
{
	unsigned number = queue->first;

	assert(queue->count > 0 && buffers->by_number[number].length > 0);
	buffers->by_number[number].length = 0;
	queue->first = buffers->by_number[number].next;
	queue->sent = 0;
	queue->count--;
	if (number < buffers->shared)
		buffers_put_into_ring(buffers, number);
}

const char *buffer_queue_data(const struct buffer_queue *queue, const struct buffers *buffers,
			      unsigned *length)
{
	*length = buffers->by_number[queue->first].length - queue->sent;
	return buffers_memory(buffers, queue->first) + queue->sent;
}

void buffer_queue_sent(struct buffer_queue *queue, struct buffers *buffers, unsigned bytes)
{
	queue->sent += bytes;
	assert(queue->sent <= buffers->by_number[queue->first].length);
	if (queue->sent == buffers->by_number[queue->first].length)
		release_first(queue, buffers);
}

void buffer_queue_drop(struct buffer_queue *queue, struct buffers *buffers)
{
	while (queue->count > 0)
		release_first(queue, buffers);
}
