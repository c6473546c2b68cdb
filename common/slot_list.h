/*
 * A list of slots in the order in which they were appended: a doubly linked one whose links are in
 * an array by slot, so nothing is allocated and a slot can be taken out from anywhere.
 */
#ifndef COMMON_SLOT_LIST_H
#define COMMON_SLOT_LIST_H

struct slot_list {
	unsigned none; /* the number of slots, so a number that no slot has */
	struct slot_link {
		unsigned before, after;
	} * links; /* by slot; the one at `none` holds the list's two ends */
};

/*
 * Makes `list` an empty list for slots from 0 to `slots` - 1. Takes 8 bytes for each from
 * memory_map(), so it doesn't return on failure.
 */
void slot_list_open(struct slot_list *list, unsigned slots);

/* Appends a slot that is not in the list. */
void slot_list_append(struct slot_list *list, unsigned slot);

/* Takes out a slot that is in the list. */
void slot_list_remove(struct slot_list *list, unsigned slot);

/* The slot that has been in the list longest, or list->none if the list is empty. */
unsigned slot_list_first(const struct slot_list *list);

#endif
