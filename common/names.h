/*
 * The names behind io_uring's numbers, for programs that show what passes through a ring.
 */
#ifndef COMMON_NAMES_H
#define COMMON_NAMES_H

/*
 * The name of the operation `opcode` of an SQE, as in IORING_OP_name: "NOP", "ACCEPT", ... Knows
 * the operations up to Linux 6.18, also those that the installed liburing does not; NULL for later
 * ones.
 */
const char *operation_name(unsigned opcode);

/* How many operations have a name: opcodes 0 to OPERATION_NAMES - 1. */
#define OPERATION_NAMES 63

#endif
