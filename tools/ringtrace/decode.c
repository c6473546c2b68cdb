/*
 * ringtrace: SQEs, CQEs, flags and calls as text.
 */
#include "tools/ringtrace/decode.h"
#include "tools/ringtrace/names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define LARGEST_ERROR 4095 /* -4095 to -1 are errors, what is less is something else */
#define RUNS_MOST     16   /* of buffers with numbers in a row, of one CQE */

bool decimal_user_data;

void text_add(struct text *text, const char *format, ...)
{
	size_t space = sizeof(text->data) - text->length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text->data + text->length, space, format, arguments);
	va_end(arguments);
	if (length > 0)
		text->length += (size_t)length < space ? (size_t)length : space - 1;
}

static void add_flags(struct text *text, const char *flags, uint32_t set, const char *before)
{
	char name[WORD_MOST];

	for (unsigned bit = 0; bit < 32; bit++) {
		if (set >> bit & 1 && word_at(flags, bit, name)) {
			text_add(text, "%s%s", before, name);
			before = "|";
			set &= ~(1U << bit);
		}
	}
	if (set)
		text_add(text, "%s0x%x", before, set);
}

/* The word at that place of the list, which has no %, or else the number in the form for it. */
static void add_word(struct text *text, const char *words, unsigned place, const char *form)
{
	char word[WORD_MOST];

	text_add(text, word_at(words, place, word) ? word : form, place);
}

void add_error(struct text *text, int error)
{
	const char *name = strerrorname_np(error);

	if (name)
		text_add(text, "-%s (%s)", name, strerrordesc_np(error));
	else
		text_add(text, "-%d", error);
}

void add_user_data(struct text *text, uint64_t user_data)
{
	if (user_data == LIBURING_UDATA_TIMEOUT)
		text_add(text, "user_data LIBURING_UDATA_TIMEOUT");
	else if (decimal_user_data)
		text_add(text, "user_data %llu", (unsigned long long)user_data);
	else
		text_add(text, "user_data 0x%llx", (unsigned long long)user_data);
}

void add_duration(struct text *text, uint64_t nanoseconds)
{
	text_add(text, "%llu.%03llu ms", (unsigned long long)nanoseconds / 1000000,
		 (unsigned long long)nanoseconds / 1000 % 1000);
}

void add_setup_flags(struct text *text, uint32_t flags)
{
	add_flags(text, setup_flags, flags, ", ");
}

void add_target(struct text *text, const struct target *target)
{
	if (target->kind == TARGET_NONE)
		text_add(text, "no descriptor");
	else
		text_add(text, "%s %d", target->kind == TARGET_SLOT ? "slot" : "fd",
			 target->number);
}

/* A path is text that the program may have got from anywhere: nothing of it moves the cursor. */
static void add_path(struct text *text, const struct event *event, uint64_t address)
{
	size_t length, i;
	const char *path = event_pointed(event, address, 1, &length);

	if (!path) {
		text_add(text, " path at 0x%llx", (unsigned long long)address);
		return;
	}
	text_add(text, " '");
	for (i = 0; i < length && path[i]; i++)
		text_add(text, "%c", isprint((unsigned char)path[i]) ? path[i] : '?');
	text_add(text, i == length ? "...'" : "'");
}

static void add_fd(struct text *text, int fd)
{
	text_add(text, fd == AT_FDCWD ? " cwd" : " fd %d", fd);
}

static void add_descriptor(struct text *text, const struct io_uring_sqe *sqe)
{
	if (sqe->flags & IOSQE_FIXED_FILE)
		text_add(text, " slot %d", sqe->fd);
	else
		add_fd(text, sqe->fd);
}

static void add_into(struct text *text, const struct io_uring_sqe *sqe)
{
	if (sqe->file_index == ANY_SLOT)
		text_add(text, " into any free slot");
	else if (sqe->file_index)
		text_add(text, " into slot %u", sqe->file_index - 1);
}

static void add_time(struct text *text, const struct event *event, const char *before,
		     uint64_t address)
{
	const struct __kernel_timespec immediate = {.tv_sec = (long long)(address / 1000000000),
						    .tv_nsec = (long long)(address % 1000000000)};
	const struct __kernel_timespec *time = &immediate;
	size_t length;

	if (!(event->sqe->timeout_flags & TIMEOUT_IMMEDIATE_ARG))
		time = event_pointed(event, address, sizeof(*time), &length);
	if (time)
		text_add(text, " %s%lld.%06lld s", before, (long long)time->tv_sec,
			 (long long)time->tv_nsec / 1000);
	else
		text_add(text, " timespec at 0x%llx", (unsigned long long)address);
}

static void add_target_user_data(struct text *text, uint64_t user_data)
{
	text_add(text, " the request with ");
	add_user_data(text, user_data);
}

static void add_timeout(struct text *text, const struct event *event)
{
	const struct io_uring_sqe *sqe = event->sqe;

	add_time(text, event, sqe->timeout_flags & IORING_TIMEOUT_ABS ? "at " : "", sqe->addr);
	if (sqe->opcode == IORING_OP_LINK_TIMEOUT)
		text_add(text, " for the SQE before it");
	else if (sqe->off)
		text_add(text, " or %llu completions", (unsigned long long)sqe->off);
}

static void add_cancel(struct text *text, const struct io_uring_sqe *sqe)
{
	if (sqe->cancel_flags & IORING_ASYNC_CANCEL_ANY)
		text_add(text, " any request");
	else if (sqe->cancel_flags & IORING_ASYNC_CANCEL_FD)
		text_add(text, " of %s %d",
			 sqe->cancel_flags & IORING_ASYNC_CANCEL_FD_FIXED ? "slot" : "fd", sqe->fd);
	else
		add_target_user_data(text, sqe->addr);
}

static void add_poll_update(struct text *text, const struct io_uring_sqe *sqe)
{
	add_target_user_data(text, sqe->addr);
	if (sqe->len & IORING_POLL_UPDATE_EVENTS)
		add_flags(text, poll_events, sqe->poll32_events, " to ");
	if (sqe->len & IORING_POLL_UPDATE_USER_DATA) {
		text_add(text, " to ");
		add_user_data(text, sqe->off);
	}
}

static void add_message_ring(struct text *text, const struct io_uring_sqe *sqe)
{
	text_add(text, " is the ring to tell:");
	if (sqe->addr == IORING_MSG_SEND_FD)
		text_add(text, " a slot");
	else
		text_add(text, " result %d", (int)sqe->len);
	text_add(text, " with ");
	add_user_data(text, sqe->off);
}

static void add_command(struct text *text, const struct io_uring_sqe *sqe)
{
	text_add(text, " ");
	add_word(text, socket_commands, sqe->cmd_op, "command 0x%x");
	if (sqe->cmd_op == COMMAND_GETSOCKOPT || sqe->cmd_op == COMMAND_SETSOCKOPT)
		text_add(text, " level %u option %u", (unsigned)sqe->addr,
			 (unsigned)(sqe->addr >> 32));
	if (sqe->uring_cmd_flags & 1)
		text_add(text, " registered buffer %u", sqe->buf_index);
}

/* What the fields' patterns leave out. */
static void add_own_fields(struct text *text, const struct event *event)
{
	const struct io_uring_sqe *sqe = event->sqe;
	const unsigned long long addr = sqe->addr, off = sqe->off;

	switch (sqe->opcode) {
	case IORING_OP_POLL_ADD:
		add_flags(text, poll_events, sqe->poll32_events, " for ");
		add_flags(text, poll_command_flags, sqe->len, "  ");
		break;
	case IORING_OP_POLL_REMOVE:
		add_poll_update(text, sqe);
		add_flags(text, poll_command_flags, sqe->len, "  ");
		break;
	case IORING_OP_TIMEOUT:
	case IORING_OP_LINK_TIMEOUT: add_timeout(text, event); break;
	case IORING_OP_TIMEOUT_REMOVE:
		add_target_user_data(text, addr);
		if (sqe->timeout_flags & IORING_TIMEOUT_UPDATE_MASK)
			add_time(text, event, "to ", off);
		break;
	case IORING_OP_ASYNC_CANCEL: add_cancel(text, sqe); break;
	case IORING_OP_OPENAT:
		if (!(sqe->open_flags & O_CREAT))
			break;
		/* fallthrough */
	case IORING_OP_MKDIRAT: text_add(text, " mode %04o", sqe->len); break;
	case IORING_OP_CLOSE:
		if (sqe->file_index)
			text_add(text, " slot %u", sqe->file_index - 1);
		else
			text_add(text, " fd %d", sqe->fd);
		break;
	case IORING_OP_FILES_UPDATE:
		text_add(text,
			 sqe->off == ANY_SLOT ? " %u descriptors into any free slots"
					      : " %u slots from slot %llu",
			 sqe->len, off);
		break;
	case IORING_OP_SPLICE:
	case IORING_OP_TEE:
		text_add(text, " from %s %d len %u",
			 sqe->splice_flags & SPLICE_F_FD_IN_FIXED ? "slot" : "fd",
			 sqe->splice_fd_in, sqe->len);
		break;
	case IORING_OP_PROVIDE_BUFFERS:
		text_add(text, " %d of len %u from buffer %llu, group %u, addr 0x%llx", sqe->fd,
			 sqe->len, off, sqe->buf_group, addr);
		break;
	case IORING_OP_REMOVE_BUFFERS:
		text_add(text, " %d of group %u", sqe->fd, sqe->buf_group);
		break;
	case IORING_OP_SHUTDOWN:
		text_add(text, " ");
		add_word(text, shutdown_ways, sqe->len, "how %u");
		break;
	case IORING_OP_RENAMEAT:
	case IORING_OP_LINKAT:
	case IORING_OP_SYMLINKAT:
		text_add(text, " to");
		if (sqe->opcode != IORING_OP_SYMLINKAT)
			add_fd(text, (int)sqe->len);
		add_path(text, event, off);
		break;
	case IORING_OP_MSG_RING: add_message_ring(text, sqe); break;
	case IORING_OP_SOCKET:
		text_add(text, " domain %d type %llu protocol %u", sqe->fd, off, sqe->len);
		add_into(text, sqe);
		break;
	case IORING_OP_URING_CMD:
	case OP_URING_CMD128: add_command(text, sqe); break;
	case OP_LISTEN: text_add(text, " backlog %u", sqe->len); break;
	default: break;
	}
}

/* "iov 3: 0x7f00+512 0x8000+100 ..." */
static void add_vectors(struct text *text, const struct event *event)
{
	const struct iovec *vectors = event->vectors;
	size_t i;

	text_add(text, " iov %zu%s", event->vector_count, vectors ? ":" : "");
	for (i = 0; vectors && i < event->vectors_known; i++)
		text_add(text, " 0x%llx+%zu", (unsigned long long)(uintptr_t)vectors[i].iov_base,
			 vectors[i].iov_len);
	if (event->vectors_known < event->vector_count)
		text_add(text, event->vectors ? " ..." : " (not readable)");
}

static void add_socket_address(struct text *text, const struct event *event, uint64_t at,
			       uint64_t size)
{
	size_t length;
	const struct sockaddr *address = event_pointed(event, at, sizeof(short), &length);
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
	char name[INET6_ADDRSTRLEN];

	if (address && address->sa_family == AF_INET && length >= sizeof(*in))
		text_add(text, " %s:%u", inet_ntop(AF_INET, &in->sin_addr, name, sizeof(name)),
			 ntohs(in->sin_port));
	else if (address && address->sa_family == AF_INET6 && length >= sizeof(*in6))
		text_add(text, " [%s]:%u", inet_ntop(AF_INET6, &in6->sin6_addr, name, sizeof(name)),
			 ntohs(in6->sin6_port));
	else
		text_add(text, " address of len %llu at 0x%llx", (unsigned long long)size,
			 (unsigned long long)at);
}

static void add_message(struct text *text, const struct event *event)
{
	size_t length;
	const struct msghdr *message =
		event_pointed(event, event->sqe->addr, sizeof(*message), &length);

	if (!message) {
		text_add(text, " message at 0x%llx", (unsigned long long)event->sqe->addr);
		return;
	}
	if (message->msg_name && is_send(event->sqe->opcode))
		add_socket_address(text, event, (uintptr_t)message->msg_name, message->msg_namelen);
	add_vectors(text, event);
	if (message->msg_controllen)
		text_add(text, " control len %zu", (size_t)message->msg_controllen);
}

static bool has_registered_buffer(const struct io_uring_sqe *sqe, unsigned fields)
{
	return fields & BUFFER || ((is_send(sqe->opcode) || is_receive(sqe->opcode)) &&
				   sqe->ioprio & IORING_RECVSEND_FIXED_BUF);
}

static void add_fields(struct text *text, const struct event *event, unsigned fields)
{
	const struct io_uring_sqe *sqe = event->sqe;
	bool selects = sqe->flags & IOSQE_BUFFER_SELECT;
	bool vectors = points_to_vectors(sqe);

	if (fields & (FD | PATH))
		add_descriptor(text, sqe);
	if (fields & (PATH | NAME))
		add_path(text, event, sqe->addr);
	if (fields & SOCKET)
		add_socket_address(text, event, sqe->addr, sqe->off);
	if (fields & INTO)
		add_into(text, sqe);
	if (fields & LENGTH && !vectors)
		text_add(text, " len %u", sqe->len);
	if (fields & MESSAGE)
		add_message(text, event);
	else if (vectors)
		add_vectors(text, event);
	else if (fields & ADDRESS && !selects)
		text_add(text, " addr 0x%llx", (unsigned long long)sqe->addr);
	if (has_registered_buffer(sqe, fields))
		text_add(text, " registered buffer %u", sqe->buf_index);
	if (fields & OFFSET && sqe->off == CURRENT_POSITION)
		text_add(text, " at the file's position");
	else if (fields & OFFSET)
		text_add(text, " offset %llu", (unsigned long long)sqe->off);
	if (selects)
		text_add(text, " group %u", sqe->buf_group);
}

static void add_unknown_fields(struct text *text, const struct io_uring_sqe *sqe)
{
	add_descriptor(text, sqe);
	text_add(text, " len %u addr 0x%llx off 0x%llx", sqe->len, (unsigned long long)sqe->addr,
		 (unsigned long long)sqe->off);
}

void add_sqe(struct text *text, const struct event *event)
{
	const struct io_uring_sqe *sqe = event->sqe;
	const struct operation *known = operation(sqe->opcode);

	text_add(text, "SQE  %-8s", operation_name(sqe->opcode));
	if (known)
		add_fields(text, event, known->fields);
	else
		add_unknown_fields(text, sqe);
	add_own_fields(text, event);
	if (sqe->personality)
		text_add(text, " personality %u", sqe->personality);
	add_flags(text, sqe_flags, sqe->flags, "  ");
	if (known && known->ioprio_flags)
		add_flags(text, known->ioprio_flags, sqe->ioprio, "  ");
	if (known && known->own_flags)
		add_flags(text, known->own_flags, (uint32_t)sqe->rw_flags, "  ");
	text_add(text, "  ");
	add_user_data(text, sqe->user_data);
}

static void add_result(struct text *text, const struct event *event)
{
	int32_t result = event->cqe->res;
	static const struct io_uring_sqe nothing_known = {.opcode = IORING_OP_NOP};
	const struct io_uring_sqe *sqe = event->opcode >= 0 ? &event->request->sqe : &nothing_known;

	text_add(text, " = ");
	if (event->cqe->flags & IORING_CQE_F_NOTIF && sqe->ioprio & SEND_REPORTS_USAGE)
		text_add(text, result ? "copied" : "not copied");
	else if (result < 0 && result >= -LARGEST_ERROR)
		add_error(text, -result);
	else if (gives_descriptor(sqe->opcode) && sqe->file_index == ANY_SLOT)
		text_add(text, "slot %d", result);
	else if (gives_descriptor(sqe->opcode) && !sqe->file_index)
		text_add(text, "fd %d", result);
	else if (sqe->opcode == IORING_OP_POLL_ADD && result > 0)
		add_flags(text, poll_events, (uint32_t)result, "");
	else
		text_add(text, "%d", result);
}

unsigned buffers_in_a_row(const struct io_uring_buf *buffers, unsigned count)
{
	unsigned i = 1;

	while (i < count && buffers[i].bid == buffers[i - 1].bid + 1)
		i++;
	return i;
}

/* "buffer 3", "buffers 3 to 7, 0": in the order of the bytes. */
static void add_picked(struct text *text, const struct event *event)
{
	const struct io_uring_buf *buffers = event->buffers;
	const char *before = event->count == 1 ? "  buffer" : "  buffers";
	unsigned row, runs = 0;

	if (!event->count)
		text_add(text, "  buffer %u", event->cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	if (!event->count && event->request && is_bundle(&event->request->sqe))
		text_add(text, " and perhaps others after it");
	for (unsigned i = 0; i < event->count && runs < RUNS_MOST; i += row, runs++) {
		row = buffers_in_a_row(&buffers[i], event->count - i);
		text_add(text, "%s %u", runs ? "," : before, buffers[i].bid);
		if (row > 1)
			text_add(text, " to %u", buffers[i + row - 1].bid);
		if (runs == RUNS_MOST - 1 && i + row < event->count)
			text_add(text, " ...");
	}
}

void add_cqe(struct text *text, const struct event *event)
{
	uint32_t flags = event->cqe->flags;

	add_result(text, event);
	if (flags & IORING_CQE_F_BUFFER) {
		add_picked(text, event);
		flags &= (1U << IORING_CQE_BUFFER_SHIFT) - 1;
	}
	add_flags(text, cqe_flags, flags & ~IORING_CQE_F_BUFFER, "  ");
}

void add_call(struct text *text, const struct event *event)
{
	const uint32_t *arguments = event->call->arguments;

	text_add(text, "%s(", call_name(event->call_id));
	if (event->call_id == CALL_register) {
		text_add(text, "fd %u, ", arguments[0]);
		add_word(text, register_names, arguments[1], "opcode %u");
		text_add(text, ", %u", arguments[2]);
	} else if (event->call_id == CALL_wait_cqe && arguments[0] != 1) {
		text_add(text, "%u", arguments[0]);
	} else {
		text_add(text, call_format(event->call_id), arguments[0], arguments[1],
			 arguments[2], arguments[3]);
	}
	if (event->call_id == CALL_register_buf_ring || event->call_id == CALL_setup_buf_ring)
		add_flags(text, buffer_ring_flags, arguments[2], ", ");
	if (event->call_id == CALL_enter || event->call_id == CALL_enter2)
		add_flags(text, enter_flags, arguments[3], ", ");
	text_add(text, ")");
}
