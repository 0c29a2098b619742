// Two threads publish; one serves connections and one a lane, both asleep until a waker calls, and one blocks in a call.

#include <pthread.h>

#include "check.h"

enum { PUBLISHERS = 2, MESSAGES = 500, TABS = 4, ALL = PUBLISHERS * MESSAGES * TABS };

static holocast_engine *engine;
static holocast_channel *room;

// What a loop sleeps by.
typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool woken;
  int released;
} bell;

#define BELL {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0}

static void ring(void *context) {
  bell *rung = context;
  pthread_mutex_lock(&rung->lock);
  rung->woken = true;
  pthread_cond_signal(&rung->changed);
  pthread_mutex_unlock(&rung->lock);
}

static void release(void *context) {
  bell *rung = context;
  pthread_mutex_lock(&rung->lock);
  rung->released++;
  pthread_cond_signal(&rung->changed);
  pthread_mutex_unlock(&rung->lock);
}

static void wait_for_wake(bell *rung) {
  pthread_mutex_lock(&rung->lock);
  while (!rung->woken) {
    pthread_cond_wait(&rung->changed, &rung->lock);
  }
  rung->woken = false;
  pthread_mutex_unlock(&rung->lock);
}

// The publisher that owned it last may be about to let go of it.
static void wait_for_release(bell *rung) {
  pthread_mutex_lock(&rung->lock);
  while (rung->released == 0) {
    pthread_cond_wait(&rung->changed, &rung->lock);
  }
  CHECK(rung->released == 1);
  pthread_mutex_unlock(&rung->lock);
}

static void *publish(void *context) {
  uint32_t number[2] = {*(uint32_t *)context, 0};
  for (; number[1] < MESSAGES; number[1]++) {
    holocast_reach reach;
    OK(holocast_broadcast_action(engine, room, holocast_text_of("count"), holocast_bytes_of(number, sizeof number), &reach));
    CHECK(reach.reached == 2 * TABS + 1 && reach.refused == 0);
  }
  return NULL;
}

// Each receiver has the messages of one publisher in order.
static void expect_in_order(holocast_event *event, uint32_t *next) {
  uint32_t number[2];
  holocast_bytes params;
  OK(holocast_event_params(event, &params));
  CHECK(params.len == sizeof number);
  memcpy(number, params.data, sizeof number);
  CHECK(number[0] < PUBLISHERS && number[1] == next[number[0]]++);
}

static void *serve_connections(void *context) {
  holocast_connection **tabs = context;
  bell rung = BELL;
  holocast_waker *waker = NULL;
  OK(holocast_waker_new(ring, release, &rung, &waker));
  uint32_t next[TABS][PUBLISHERS] = {{0}};
  for (int taken = 0; taken < ALL;) {
    for (int tab = 0; tab < TABS; tab++) {
      holocast_event *event = NULL;
      holocast_status status;
      while ((status = holocast_connection_poll_recv(tabs[tab], waker, &event)) == HOLOCAST_STATUS_OK) {
        if (holocast_event_kind_of(event) == HOLOCAST_EVENT_KIND_BROADCAST) {
          expect_in_order(event, next[tab]);
          taken++;
        }
        holocast_event_free(event);
      }
      CHECK(status == HOLOCAST_STATUS_EMPTY);
    }
    if (taken < ALL) {
      wait_for_wake(&rung);
    }
  }
  holocast_waker_free(waker);
  for (int tab = 0; tab < TABS; tab++) {
    holocast_connection_free(tabs[tab]);
  }
  wait_for_release(&rung);
  return NULL;
}

static void *serve_lane(void *context) {
  holocast_lane *lane = context;
  bell rung = BELL;
  holocast_waker *waker = NULL;
  OK(holocast_waker_new(ring, release, &rung, &waker));
  uint32_t next[PUBLISHERS] = {0};
  for (int taken = 0; taken < ALL;) {
    holocast_event *event = NULL;
    holocast_status status = holocast_lane_poll_recv(lane, waker, &event);
    if (status == HOLOCAST_STATUS_EMPTY) {
      wait_for_wake(&rung);
      continue;
    }
    CHECK(status == HOLOCAST_STATUS_OK);
    if (holocast_event_kind_of(event) == HOLOCAST_EVENT_KIND_BATCH) {
      expect_in_order(event, next);
      holocast_receiver_list receivers;
      OK(holocast_event_receivers(event, SIZE_MAX, &receivers));
      CHECK(receivers.len == TABS);
      taken += TABS;
    }
    holocast_event_free(event);
  }
  holocast_event *event = NULL;
  CHECK_STATUS(HOLOCAST_STATUS_TIMEOUT, holocast_lane_recv(lane, 1, &event));
  holocast_waker_free(waker);
  holocast_lane_free(lane);
  wait_for_release(&rung);
  return NULL;
}

static void *block(void *context) {
  holocast_connection *tab = context;
  holocast_event *event = NULL;
  uint32_t next[PUBLISHERS] = {0};
  for (int taken = 0; taken < PUBLISHERS * MESSAGES;) {
    OK(holocast_connection_recv(tab, HOLOCAST_FOREVER, &event));
    if (holocast_event_kind_of(event) == HOLOCAST_EVENT_KIND_BROADCAST) {
      expect_in_order(event, next);
      taken++;
    }
    holocast_event_free(event);
  }
  CHECK_STATUS(HOLOCAST_STATUS_TIMEOUT, holocast_connection_recv(tab, 1, &event));
  CHECK(event == NULL);
  holocast_connection_free(tab);
  return NULL;
}

static holocast_connection *connect_tab(const char *instance) {
  holocast_client client = holocast_client_of(instance, holocast_none(), holocast_int(7));
  holocast_connected connected;
  OK(holocast_connect(engine, &client, &connected));
  return connected.connection;
}

int main(void) {
  holocast_config config = holocast_config_default();
  config.queue_capacity = 32767;
  config.lane_capacity = 32767;
  OK(holocast_engine_new(&config, &engine));
  OK(holocast_channel_parse(engine, holocast_text_of(":news"), &room));
  holocast_connection *tabs[TABS];
  holocast_lane *lane = NULL;
  OK(holocast_lane_new(engine, &lane));
  for (uint64_t tab = 0; tab < TABS; tab++) {
    char name[16];
    snprintf(name, sizeof name, "tab-%" PRIu64, tab);
    tabs[tab] = connect_tab(name);
    snprintf(name, sizeof name, "lane-%" PRIu64, tab);
    holocast_client client = holocast_client_of(name, holocast_none(), holocast_int(7));
    holocast_lane_connected connected;
    OK(holocast_lane_connect(lane, &client, tab, &connected));
  }
  holocast_connection *last = connect_tab("blocks");
  holocast_identity user = holocast_user(holocast_int(7));
  size_t matched;
  OK(holocast_subscribe(engine, &user, room, holocast_text_of("page"), &matched));
  CHECK(matched == 2 * TABS + 1);

  pthread_t threads[PUBLISHERS + 3];
  uint32_t numbers[PUBLISHERS];
  CHECK(pthread_create(&threads[PUBLISHERS], NULL, serve_connections, tabs) == 0);
  CHECK(pthread_create(&threads[PUBLISHERS + 1], NULL, serve_lane, lane) == 0);
  CHECK(pthread_create(&threads[PUBLISHERS + 2], NULL, block, last) == 0);
  for (uint32_t number = 0; number < PUBLISHERS; number++) {
    numbers[number] = number;
    CHECK(pthread_create(&threads[number], NULL, publish, &numbers[number]) == 0);
  }
  for (int thread = 0; thread < PUBLISHERS + 3; thread++) {
    CHECK(pthread_join(threads[thread], NULL) == 0);
  }
  holocast_stats stats;
  OK(holocast_stats_of(engine, &stats));
  CHECK(stats.connections == 0 && stats.taken == PUBLISHERS * MESSAGES * (2 * TABS + 1) && stats.queued == 0);
  printf("%" PRIu64 " taken\n", stats.taken);
  holocast_channel_free(room);
  holocast_engine_free(engine);
  return 0;
}
