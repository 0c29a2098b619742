// One thread goes through all operations: subscribes, broadcasts, excludes, kicks, reconnects with receipts, lags, shuts down.

#include "check.h"

static holocast_engine *engine;
static holocast_channel *room;

// The next event, which has to be of this kind.
static holocast_event *take(holocast_connection *tab, holocast_event_kind kind) {
  holocast_event *event = NULL;
  OK(holocast_connection_try_recv(tab, &event));
  CHECK(holocast_event_kind_of(event) == kind);
  return event;
}

static void expect_nothing(holocast_connection *tab) {
  holocast_event *event = NULL;
  CHECK_STATUS(HOLOCAST_STATUS_EMPTY, holocast_connection_try_recv(tab, &event));
  CHECK(event == NULL);
}

// A broadcast to the room, whose params are this text, for the component "page".
static void expect_text(holocast_connection *tab, const char *text) {
  holocast_event *event = take(tab, HOLOCAST_EVENT_KIND_BROADCAST);
  holocast_text channel, action;
  holocast_bytes params;
  holocast_key_list keys;
  OK(holocast_event_channel(event, &channel));
  CHECK(holocast_text_equals(channel, "{:room, 42}"));
  OK(holocast_event_action(event, &action));
  CHECK(holocast_text_equals(action, "message"));
  OK(holocast_event_params(event, &params));
  CHECK(params.len == strlen(text) && memcmp(params.data, text, params.len) == 0);
  OK(holocast_event_keys(event, &keys));
  CHECK(keys.len == 1 && holocast_text_equals(keys.items[0].cid, "page"));
  CHECK(holocast_text_equals(keys.items[0].channel, "{:room, 42}"));
  holocast_event_free(event);
}

static void expect_closed(holocast_connection *tab, holocast_close_reason expected) {
  holocast_event *event = take(tab, HOLOCAST_EVENT_KIND_CLOSED);
  holocast_close_reason reason;
  OK(holocast_event_reason(event, &reason));
  CHECK(reason == expected);
  holocast_event_free(event);
  CHECK_STATUS(HOLOCAST_STATUS_CLOSED, holocast_connection_try_recv(tab, &event));
}

static size_t say(const char *text) {
  holocast_reach reach;
  OK(holocast_broadcast_action(engine, room, holocast_text_of("message"), holocast_bytes_of(text, strlen(text)), &reach));
  return reach.reached;
}

static holocast_connection *connect(const char *instance, holocast_value user) {
  holocast_client client = holocast_client_of(instance, holocast_string("s1"), user);
  holocast_connected connected;
  OK(holocast_connect(engine, &client, &connected));
  CHECK(connected.receipts == NULL && !connected.superseded);
  return connected.connection;
}

// The token of a SUBSCRIBED, which the caller frees; a browser would keep it.
static char *take_token(holocast_connection *tab) {
  holocast_event *event = take(tab, HOLOCAST_EVENT_KIND_SUBSCRIBED);
  holocast_receipt receipt;
  OK(holocast_event_receipt(event, &receipt));
  CHECK(holocast_text_equals(receipt.channel, "{:room, 42}") && holocast_text_equals(receipt.cid, "page"));
  char *token = malloc(receipt.token.len + 1);
  CHECK(token != NULL && receipt.token.len > 0);
  memcpy(token, receipt.token.data, receipt.token.len);
  token[receipt.token.len] = 0;
  holocast_event_free(event);
  return token;
}

// Ends a tab and connects it again with one token; how many bindings that restores.
static size_t reconnect(holocast_connection **tab, const char *instance, holocast_value user, const char *token) {
  holocast_connection_free(*tab);
  holocast_client client = holocast_client_of(instance, holocast_string("s1"), user);
  holocast_text presented[2] = {holocast_text_of(token), holocast_text_of("hc1.forged.token")};
  holocast_connected connected;
  OK(holocast_reconnect(engine, &client, holocast_texts(presented, 2), &connected));
  CHECK(connected.refused_tokens == 1 && !connected.superseded);
  size_t restored = holocast_receipts_list(connected.receipts).len;
  holocast_receipts_free(connected.receipts);
  *tab = connected.connection;
  return restored;
}

static void rooms(void) {
  holocast_identity alice = holocast_user(holocast_int(7));
  holocast_connection *phone = connect("phone", holocast_int(7));
  holocast_connection *laptop = connect("laptop", holocast_int(7));
  size_t matched = 0;
  OK(holocast_subscribe(engine, &alice, room, holocast_text_of("page"), &matched));
  CHECK(matched == 2);
  char *token = take_token(phone);
  free(take_token(laptop));

  // To all, and to all but the tab that wrote it.
  CHECK(say("hello") == 2);
  expect_text(phone, "hello");
  expect_text(laptop, "hello");
  holocast_identity excluded[2] = {holocast_instance("phone"), holocast_session(holocast_string("nobody's"))};
  holocast_reach reach;
  OK(holocast_broadcast_action_except(engine, holocast_identities(excluded, 2), room, holocast_text_of("message"),
                                      holocast_bytes_of("to the others", 13), &reach));
  CHECK(reach.reached == 1 && reach.refused == 0);
  expect_nothing(phone);
  expect_text(laptop, "to the others");

  // A reconnect with its receipt is back in the room; after a kick it stays out.
  CHECK(reconnect(&phone, "phone", holocast_int(7), token) == 1);
  CHECK(say("again") == 2);
  expect_text(phone, "again");
  expect_text(laptop, "again");
  size_t lost = 0;
  OK(holocast_unsubscribe_all(engine, &alice, room, &lost));
  CHECK(lost == 2);
  holocast_event *event = take(phone, HOLOCAST_EVENT_KIND_UNSUBSCRIBED);
  holocast_key_list keys;
  OK(holocast_event_keys(event, &keys));
  CHECK(keys.len == 1 && holocast_text_equals(keys.items[0].channel, "{:room, 42}"));
  CHECK(holocast_text_equals(keys.items[0].cid, "page"));
  holocast_event_free(event);
  holocast_event_free(take(laptop, HOLOCAST_EVENT_KIND_UNSUBSCRIBED));
  CHECK(say("behind closed doors") == 0);
  CHECK(reconnect(&phone, "phone", holocast_int(7), token) == 0);
  CHECK(say("still closed") == 0);

  // A new grant supersedes the kick, and an unsubscribe ends that too.
  OK(holocast_subscribe(engine, &alice, room, holocast_text_of("page"), NULL));
  free(token);
  token = take_token(phone);
  free(take_token(laptop));
  CHECK(reconnect(&phone, "phone", holocast_int(7), token) == 1);
  CHECK(say("welcome back") == 2);
  expect_text(phone, "welcome back");
  expect_text(laptop, "welcome back");
  OK(holocast_unsubscribe(engine, &alice, room, holocast_text_of("page"), &matched));
  CHECK(matched == 2 && say("nobody") == 0);

  // Another receiver of the same tab takes over.
  holocast_client client = holocast_client_of("laptop", holocast_string("s1"), holocast_int(7));
  holocast_connected connected;
  OK(holocast_connect(engine, &client, &connected));
  CHECK(connected.superseded);
  expect_closed(laptop, HOLOCAST_CLOSE_REASON_SUPERSEDED);
  holocast_connection_free(laptop);
  bool ended = false;
  OK(holocast_disconnect(engine, holocast_text_of("laptop"), &ended));
  CHECK(ended);
  expect_closed(connected.connection, HOLOCAST_CLOSE_REASON_DISCONNECTED);
  holocast_connection_free(connected.connection);
  OK(holocast_disconnect(engine, holocast_text_of("laptop"), &ended));
  CHECK(!ended);
  holocast_connection_free(phone);
  free(token);
}

static void handlers(void) {
  holocast_client client = holocast_client_of("tab", holocast_none(), holocast_string("bob"));
  holocast_connection *tab = connect("tab", holocast_string("bob"));
  holocast_receipts *receipts = NULL;
  OK(holocast_put_subscription(engine, &client, room, holocast_text_of("page"), &receipts));
  CHECK(holocast_receipts_list(receipts).len == 1);
  CHECK(holocast_text_equals(holocast_receipts_list(receipts).items[0].cid, "page"));
  holocast_receipts_free(receipts);
  OK(holocast_put_subscription(engine, &client, room, holocast_text_of("page"), &receipts));
  CHECK(receipts == NULL && holocast_receipts_list(receipts).len == 0);
  CHECK(say("put") == 1);
  expect_text(tab, "put");
  bool dropped = false;
  OK(holocast_delete_subscription(engine, &client, room, holocast_text_of("page"), &dropped));
  CHECK(dropped && say("deleted") == 0);

  // Logged out, the tab loses what bob authorized.
  OK(holocast_put_subscription(engine, &client, room, holocast_text_of("layout"), &receipts));
  holocast_receipts_free(receipts);
  client.user = holocast_none();
  bool found = false;
  OK(holocast_identify(engine, &client, &found));
  CHECK(found && say("logged out") == 0);
  holocast_event_free(take(tab, HOLOCAST_EVENT_KIND_UNSUBSCRIBED));
  holocast_connection_free(tab);
}

static void lags(void) {
  holocast_identity carol = holocast_user(holocast_string("carol"));
  holocast_connection *tab = connect("slow", holocast_string("carol"));
  OK(holocast_subscribe(engine, &carol, room, holocast_text_of("page"), NULL));
  free(take_token(tab));
  // The queue holds two.
  CHECK(say("one") == 1 && say("two") == 1 && say("three") == 0 && say("four") == 0);
  holocast_event *event = take(tab, HOLOCAST_EVENT_KIND_LAGGED);
  uint64_t lost = 0;
  OK(holocast_event_lost(event, &lost));
  CHECK(lost == 2);
  holocast_text action;
  CHECK_STATUS(HOLOCAST_STATUS_WRONG_EVENT, holocast_event_action(event, &action));
  holocast_event_free(event);
  expect_text(tab, "one");
  expect_text(tab, "two");
  expect_nothing(tab);
  holocast_connection_free(tab);
}

static void lanes(void) {
  holocast_lane *lane = NULL;
  OK(holocast_lane_new(engine, &lane));
  char name[16];
  uint64_t keys[20];
  for (uint64_t socket = 0; socket < 20; socket++) {
    snprintf(name, sizeof name, "lane-%" PRIu64, socket);
    holocast_client client = holocast_client_of(name, holocast_none(), holocast_string("dave"));
    holocast_lane_connected connected;
    OK(holocast_lane_connect(lane, &client, socket, &connected));
    CHECK(!connected.superseded && connected.receipts == NULL);
    keys[socket] = connected.key;
  }
  holocast_identity dave = holocast_user(holocast_string("dave"));
  OK(holocast_subscribe(engine, &dave, room, holocast_text_of("layout"), NULL));
  OK(holocast_subscribe(engine, &dave, room, holocast_text_of("page"), NULL));
  holocast_event *event = NULL;
  int granted[20] = {0}, reached[20] = {0};
  for (int grant = 0; grant < 40; grant++) {
    uint64_t socket;
    OK(holocast_lane_try_recv(lane, &event));
    CHECK(holocast_event_kind_of(event) == HOLOCAST_EVENT_KIND_SUBSCRIBED);
    OK(holocast_event_socket(event, &socket));
    CHECK(socket < 20 && granted[socket]++ < 2);
    holocast_event_free(event);
  }
  bool ended = false;
  OK(holocast_lane_disconnect(lane, keys[19], &ended));
  CHECK(ended);
  OK(holocast_lane_disconnect(lane, keys[19], &ended));
  CHECK(!ended);

  CHECK(say("to the lane") == 19);
  OK(holocast_lane_recv(lane, HOLOCAST_FOREVER, &event));
  CHECK(holocast_event_kind_of(event) == HOLOCAST_EVENT_KIND_BATCH);
  holocast_bytes params;
  OK(holocast_event_params(event, &params));
  CHECK(params.len == 11 && memcmp(params.data, "to the lane", 11) == 0);
  holocast_receiver_list receivers;
  do {
    OK(holocast_event_receivers(event, 7, &receivers));
    for (size_t at = 0; at < receivers.len; at++) {
      holocast_receiver receiver = receivers.items[at];
      CHECK(receiver.socket < 19 && reached[receiver.socket]++ == 0 && receiver.cids.len == 2);
      CHECK(holocast_text_equals(receiver.cids.items[0], "layout") && holocast_text_equals(receiver.cids.items[1], "page"));
    }
  } while (receivers.len > 0);
  for (int socket = 0; socket < 19; socket++) {
    CHECK(granted[socket] == 2 && reached[socket] == 1);
  }
  holocast_event_free(event);
  CHECK_STATUS(HOLOCAST_STATUS_EMPTY, holocast_lane_try_recv(lane, &event));
  // Another one in the queue when the lane goes.
  CHECK(say("released") == 19);
  holocast_lane_free(lane);
}

static void refusals(void) {
  holocast_channel *channel = NULL;
  CHECK_STATUS(HOLOCAST_STATUS_INVALID_CHANNEL, holocast_channel_parse(engine, holocast_text_of("{:room, 1.5}"), &channel));
  CHECK(channel == NULL && holocast_last_error().len > 0);
  // What comes from outside needs no quoting.
  holocast_value elements[3] = {holocast_atom("doc"), holocast_string("\"}, :x"), holocast_int(-1)};
  holocast_value_list list = {elements, 3};
  OK(holocast_channel_new(engine, list, &channel));
  CHECK(holocast_text_equals(holocast_channel_text(channel), "{:doc, \"\\\"}, :x\", -1}"));
  holocast_channel_free(channel);
  holocast_text bad = {"\xff", 1};
  CHECK_STATUS(HOLOCAST_STATUS_NOT_UTF8, holocast_disconnect(engine, bad, NULL));
  CHECK_STATUS(HOLOCAST_STATUS_NULL_POINTER, holocast_shutdown(NULL, NULL));
  CHECK(strcmp(holocast_status_text(HOLOCAST_STATUS_SHUT_DOWN), "the engine was shut down") == 0);
  CHECK(strcmp(holocast_version(), HOLOCAST_VERSION) == 0);
}

static void shutdown(void) {
  holocast_connection *tab = connect("last", holocast_int(1));
  holocast_identity last = holocast_instance("last");
  OK(holocast_subscribe(engine, &last, room, holocast_text_of("page"), NULL));
  CHECK(say("good night") == 1);
  size_t told = 0;
  OK(holocast_shutdown(engine, &told));
  CHECK(told == 1);
  CHECK_STATUS(HOLOCAST_STATUS_SHUT_DOWN,
               holocast_broadcast_action(engine, room, holocast_text_of("message"), holocast_bytes_of(NULL, 0), NULL));
  free(take_token(tab));
  expect_text(tab, "good night");
  expect_closed(tab, HOLOCAST_CLOSE_REASON_SHUTDOWN);
  holocast_connection_free(tab);
}

int main(void) {
  unsigned char key[32] = {7};
  holocast_bytes signing_key = holocast_bytes_of(key, sizeof key);
  holocast_config config = holocast_config_default();
  config.queue_capacity = 2;
  config.queue_bytes = 1000;
  config.overflow = HOLOCAST_OVERFLOW_POLICY_DROP_NEWEST;
  config.signing_keys.items = &signing_key;
  config.signing_keys.len = 1;
  holocast_engine *first = NULL;
  OK(holocast_engine_new(&config, &first));
  OK(holocast_engine_clone(first, &engine));
  holocast_engine_free(first);
  OK(holocast_channel_parse(engine, holocast_text_of("{:room, 42}"), &room));

  rooms();
  handlers();
  lags();
  lanes();
  refusals();
  shutdown();

  holocast_stats stats;
  OK(holocast_stats_of(engine, &stats));
  CHECK(stats.connections == 0 && stats.members == 0 && stats.queued == 0);
  CHECK(stats.accepted == stats.taken + stats.released + stats.withheld);
  printf("%" PRIu64 " broadcasts, %" PRIu64 " taken, %" PRIu64 " released\n", stats.broadcasts, stats.taken, stats.released);

  holocast_channel_free(room);
  holocast_engine_free(engine);
  return 0;
}
