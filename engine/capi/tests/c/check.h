// What the C programs check with: a line on standard error and exit code 1 for what does not hold.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "holocast.h"

#define CHECK(holds)                                                       \
  do {                                                                     \
    if (!(holds)) {                                                        \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #holds);  \
      exit(1);                                                             \
    }                                                                      \
  } while (0)

// The status of a call, with the reason if it is another one.
#define CHECK_STATUS(expected, call)                                                                    \
  do {                                                                                                  \
    holocast_status status_ = (call);                                                                   \
    if (status_ != (expected)) {                                                                        \
      holocast_text why_ = holocast_last_error();                                                       \
      fprintf(stderr, "%s:%d: %s: %s (%.*s)\n", __FILE__, __LINE__, #call, holocast_status_text(status_), \
              (int)why_.len, why_.data);                                                                \
      exit(1);                                                                                          \
    }                                                                                                   \
  } while (0)

#define OK(call) CHECK_STATUS(HOLOCAST_STATUS_OK, call)
