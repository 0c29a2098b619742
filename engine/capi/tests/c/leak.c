// A fault on purpose: an event that is not freed. The check for leaks has to see it.

#include "check.h"

int main(void) {
  holocast_engine *engine = NULL;
  OK(holocast_engine_new(NULL, &engine));
  holocast_client client = holocast_client_of("tab", holocast_none(), holocast_none());
  holocast_connected connected;
  OK(holocast_connect(engine, &client, &connected));
  OK(holocast_disconnect(engine, holocast_text_of("tab"), NULL));
  holocast_event *event = NULL;
  OK(holocast_connection_try_recv(connected.connection, &event));
  event = NULL;
  holocast_connection_free(connected.connection);
  holocast_engine_free(engine);
  return 0;
}
