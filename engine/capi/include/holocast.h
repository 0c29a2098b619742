// holocast: a realtime fan-out engine. What it promises: docs/semantics.md; how to build and link, and an example: engine/capi/README.md.
// Made by cbindgen; to change it, change the sources in engine/capi.
//
// Handles are opaque; whoever gets one frees it, once, by the function of its name. A freed handle must not be used, nor one that another
// thread is freeing. A handle that is "used by one thread at a time" may go from thread to thread, as long as the uses don't overlap.
//
// Calls return a status. Unless it is HOLOCAST_STATUS_OK a handle asked for is null, other results are left as they were, and
// holocast_last_error says why. Null is refused where something must be there. Results that nobody needs may go to null if the comment says so.
//
// Nothing is kept of what a call is given: texts, bytes and lists are copied where they are needed longer.

#ifndef HOLOCAST_H
#define HOLOCAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HOLOCAST_VERSION "0.1.0"

// A timeout that never comes.
#define HOLOCAST_FOREVER UINT64_MAX

// How a call ended. Whatever is not OK, EMPTY, TIMEOUT or CLOSED has changed nothing.
typedef enum {
  // It did what it says.
  HOLOCAST_STATUS_OK = 0,
  // No event is queued.
  HOLOCAST_STATUS_EMPTY = 1,
  // No event came in time.
  HOLOCAST_STATUS_TIMEOUT = 2,
  // The end was handed out before; nothing will come.
  HOLOCAST_STATUS_CLOSED = 3,
  // A pointer that must not be null is.
  HOLOCAST_STATUS_NULL_POINTER = 4,
  // A text is not UTF-8.
  HOLOCAST_STATUS_NOT_UTF8 = 5,
  // A kind, a policy, a length or an alignment that there is not.
  HOLOCAST_STATUS_INVALID_ARGUMENT = 6,
  // Events of this kind don't have what was asked for.
  HOLOCAST_STATUS_WRONG_EVENT = 7,
  // Not a channel, or one beyond the limits.
  HOLOCAST_STATUS_INVALID_CHANNEL = 8,
  // A name beyond the limits.
  HOLOCAST_STATUS_NAME_TOO_LONG = 9,
  // No further connection can be held.
  HOLOCAST_STATUS_TOO_MANY_CONNECTIONS = 10,
  // The engine was shut down.
  HOLOCAST_STATUS_SHUT_DOWN = 11,
  // Tokens were presented, and the engine has no key to verify them with.
  HOLOCAST_STATUS_NO_SIGNING_KEY = 12,
  // A setting out of its range.
  HOLOCAST_STATUS_INVALID_CONFIG = 13,
  // Refused for a reason that has no status of its own yet; the last error tells it.
  HOLOCAST_STATUS_REFUSED = 14,
  // A fault of the library's own was caught; what the call was to do may be done in part. Please report it.
  HOLOCAST_STATUS_PANIC = 15,
} holocast_status;

// What an event is.
typedef enum {
  // There is no event.
  HOLOCAST_EVENT_KIND_NONE = 0,
  // A broadcast to one connection: channel, keys, action, params.
  HOLOCAST_EVENT_KIND_BROADCAST = 1,
  // A broadcast to connections of a lane: channel, action, params, receivers.
  HOLOCAST_EVENT_KIND_BATCH = 2,
  // A binding was granted or confirmed: channel, keys, receipt.
  HOLOCAST_EVENT_KIND_SUBSCRIBED = 3,
  // Bindings are gone, and their receipts are worth nothing: keys.
  HOLOCAST_EVENT_KIND_UNSUBSCRIBED = 4,
  // Broadcasts were lost because a queue was full: lost. Of a lane without a socket: any of its connections may have missed them.
  HOLOCAST_EVENT_KIND_LAGGED = 5,
  // The end; nothing comes after it: reason.
  HOLOCAST_EVENT_KIND_CLOSED = 6,
  // Something that this interface does not know yet.
  HOLOCAST_EVENT_KIND_OTHER = 7,
} holocast_event_kind;

// Why a connection ended.
typedef enum {
  // For none of the reasons below.
  HOLOCAST_CLOSE_REASON_OTHER = 0,
  // A newer connection of the same instance took its place.
  HOLOCAST_CLOSE_REASON_SUPERSEDED = 1,
  // Somebody disconnected it.
  HOLOCAST_CLOSE_REASON_DISCONNECTED = 2,
  // Its queue was full.
  HOLOCAST_CLOSE_REASON_OVERFLOW = 3,
  // The engine was shut down.
  HOLOCAST_CLOSE_REASON_SHUTDOWN = 4,
} holocast_close_reason;

// What a value is.
typedef enum {
  // Nothing: no session, or nobody.
  HOLOCAST_VALUE_KIND_NONE = 0,
  // A 64-bit integer.
  HOLOCAST_VALUE_KIND_INT = 1,
  // A string.
  HOLOCAST_VALUE_KIND_STRING = 2,
  // An atom, in channels only.
  HOLOCAST_VALUE_KIND_ATOM = 3,
} holocast_value_kind;

// What an identity is of.
typedef enum {
  // One tab; its id is a string.
  HOLOCAST_IDENTITY_KIND_INSTANCE = 1,
  // A browser session, with all its tabs.
  HOLOCAST_IDENTITY_KIND_SESSION = 2,
  // A user, with all sessions and tabs.
  HOLOCAST_IDENTITY_KIND_USER = 3,
} holocast_identity_kind;

// What happens to a receiver whose queue is full.
typedef enum {
  // The connection ends after what was queued before.
  HOLOCAST_OVERFLOW_POLICY_CLOSE = 0,
  // The new broadcast is refused and counted; the receiver is told how many it lost.
  HOLOCAST_OVERFLOW_POLICY_DROP_NEWEST = 1,
  // What is queued is released and the new broadcast queued; the receiver is told how many it lost.
  HOLOCAST_OVERFLOW_POLICY_RESET = 2,
} holocast_overflow_policy;

// What is broadcast to: an atom, or a tuple of a tag and elements. It belongs to no engine. Many threads may use it at once.
typedef struct holocast_channel holocast_channel;

// The receiving half of one tab. One thread at a time may use it, any one.
typedef struct holocast_connection holocast_connection;

// The engine: it knows which connection listens to what. Many threads may use one handle at once. The engine lives until its last handle,
// connection and lane are freed.
typedef struct holocast_engine holocast_engine;

// Something that a connection or a lane is told. Many threads may read one at once, but for holocast_event_receivers, which needs it for
// itself. It may be kept for as long as you like, also when its connection or lane is freed; a broadcast that is kept keeps its params.
// All that is read from it is valid until it is freed.
typedef struct holocast_event holocast_event;

// The receiver of any number of connections, for servers with an event loop per core: a broadcast costs its publisher one step for each
// lane, and comes as one event. One thread at a time may use it, any one.
typedef struct holocast_lane holocast_lane;

// Fresh receipts, by channel and cid. Many threads may read them at once.
typedef struct holocast_receipts holocast_receipts;

// Tells whoever waits for a connection or lane that there may be something. Many threads may use it at once; it may serve any number of
// connections and lanes.
typedef struct holocast_waker holocast_waker;

// UTF-8: len bytes at data. No NUL ends it. An empty text may have a null pointer. What a call is given has to stay as it is until the
// call returns; what a call gives out lives as long as it says.
typedef struct {
  const char *data;
  size_t len;
} holocast_text;

// The id of a session or user, or an element of a channel. Integer 7 and string "7" are two.
typedef struct {
  // One of holocast_value_kind.
  uint32_t kind;
  // Of an integer.
  int64_t number;
  // Of a string or an atom.
  holocast_text text;
} holocast_value;

// A list: len items, one behind the other. An empty one may have a null pointer.
typedef struct {
  const holocast_value *items;
  size_t len;
} holocast_value_list;

// Bytes of any value: len of them at data. None may have a null pointer.
typedef struct {
  const void *data;
  size_t len;
} holocast_bytes;

// A list: len items, one behind the other. An empty one may have a null pointer.
typedef struct {
  const holocast_bytes *items;
  size_t len;
} holocast_bytes_list;

// How an engine is set up. Begin with holocast_config_default and change what should be different.
typedef struct {
  // Broadcasts that a connection's queue holds at most: 1 to 32767, by default 1024.
  size_t queue_capacity;
  // Broadcasts that a lane holds at most: 1 to 32767, by default 1024.
  size_t lane_capacity;
  // Bytes of params that a connection's queue holds at most; 0, the default: no such bound.
  uint64_t queue_bytes;
  // One of holocast_overflow_policy; by default HOLOCAST_OVERFLOW_POLICY_CLOSE.
  uint32_t overflow;
  // Bytes of an atom, at most; by default 255.
  size_t atom_bytes;
  // Bytes of any other name, at most: ids, cids, actions, strings in channels; by default 1024.
  size_t string_bytes;
  // Elements of a channel's tuple, its tag included, at most; by default 16.
  size_t tuple_elements;
  // Milliseconds for which a receipt is valid and a revocation kept: 1 to 100 years, by default 72 hours.
  uint64_t receipt_lifetime_ms;
  // Room for so many connections from the start, so that none waits for a table to grow: at most 8388608.
  size_t expected_connections;
  // The same for channels: at most 134217728.
  size_t expected_channels;
  // Keys of receipt tokens, each of 32 random bytes or more: the first signs, all verify. Copied.
  holocast_bytes_list signing_keys;
} holocast_config;

// One browser tab with its session and its user.
typedef struct {
  // Names the tab; it keeps the name when it reconnects.
  holocast_text instance;
  // Or none.
  holocast_value session;
  // Or none while nobody is logged in.
  holocast_value user;
} holocast_client;

// What connect and reconnect give out.
typedef struct {
  // To be freed; null if the call failed.
  holocast_connection *connection;
  // Fresh receipts for all bindings in force, to be freed; null if there are none.
  holocast_receipts *receipts;
  // Tokens that are forged, cut, expired or of an unknown key. They bind nothing.
  size_t refused_tokens;
  // Whether it took the place of a live connection of the same instance.
  bool superseded;
} holocast_connected;

// A list: len items, one behind the other. An empty one may have a null pointer.
typedef struct {
  const holocast_text *items;
  size_t len;
} holocast_text_list;

// An address of zero or more live connections.
typedef struct {
  // One of holocast_identity_kind.
  uint32_t kind;
  // Not none.
  holocast_value id;
} holocast_identity;

// How many connections a broadcast reached, and how many it could not because their queues were full.
typedef struct {
  // Connections whose queue took it.
  size_t reached;
  // Connections whose queue was full.
  size_t refused;
} holocast_reach;

// A list: len items, one behind the other. An empty one may have a null pointer.
typedef struct {
  const holocast_identity *items;
  size_t len;
} holocast_identity_list;

// What an engine holds and has done. At rest accepted = taken + queued + released + withheld.
typedef struct {
  // Live connections.
  uint64_t connections;
  // Channels with a binding or a revocation.
  uint64_t channels;
  // Connections bound by at least one component, once per channel.
  uint64_t members;
  // Bindings of all members.
  uint64_t bindings;
  // Revocations kept.
  uint64_t revocations;
  // Broadcasts to a channel or nobody.
  uint64_t broadcasts;
  // Messages that queues took.
  uint64_t accepted;
  // Messages handed out.
  uint64_t taken;
  // Messages waiting.
  uint64_t queued;
  // Messages released with their connection, or by a reset.
  uint64_t released;
  // Messages not handed out because the connection's user had changed.
  uint64_t withheld;
  // Messages that no queue took because it was full.
  uint64_t refused;
} holocast_stats;

// A channel, in its text form, and a component of the page.
typedef struct {
  // The channel's text.
  holocast_text channel;
  // The component's id.
  holocast_text cid;
} holocast_key;

// A list: len items, one behind the other. An empty one may have a null pointer.
typedef struct {
  const holocast_key *items;
  size_t len;
} holocast_key_list;

// The proof of a binding, for the client to keep and to present when it reconnects.
typedef struct {
  // The channel's text.
  holocast_text channel;
  // The component's id.
  holocast_text cid;
  // The signed token; empty if the engine has no signing key.
  holocast_text token;
} holocast_receipt;

// One of the connections that a batch is for.
typedef struct {
  // As it was given when the connection was made.
  uint64_t socket;
  // The components that it is for, in order; never none.
  holocast_text_list cids;
} holocast_receiver;

// A list: len items, one behind the other. An empty one may have a null pointer.
typedef struct {
  const holocast_receiver *items;
  size_t len;
} holocast_receiver_list;

// What connects and reconnects of a lane give out.
typedef struct {
  // To end the connection with.
  uint64_t key;
  // Fresh receipts for all bindings in force, to be freed; null if there are none.
  holocast_receipts *receipts;
  // Tokens that are forged, cut, expired or of an unknown key. They bind nothing.
  size_t refused_tokens;
  // Whether it took the place of a live connection of the same instance.
  bool superseded;
} holocast_lane_connected;

// A list: len items, one behind the other. An empty one may have a null pointer.
typedef struct {
  const holocast_receipt *items;
  size_t len;
} holocast_receipt_list;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// A channel of its text form, as Elixir writes it: ":news", "{:room, 42}", "{:doc, \"abc\", :v2}". Checked by the engine's limits. For
// parts that come from outside use holocast_channel_new, which needs no quoting.
holocast_status holocast_channel_parse(const holocast_engine *engine,
                                       holocast_text text,
                                       holocast_channel **channel);

// A channel of its parts: an atom alone, or an atom and what follows it. Checked by the engine's limits.
holocast_status holocast_channel_new(const holocast_engine *engine,
                                     holocast_value_list elements,
                                     holocast_channel **channel);

// The text form of a channel, as holocast_channel_parse reads it; empty for null. Valid until the channel is freed.
holocast_text holocast_channel_text(const holocast_channel *channel);

// Frees a channel; null is fine.
void holocast_channel_free(holocast_channel *channel);

// The default settings.
holocast_config holocast_config_default(void);

// Makes a live connection with no bindings. If the instance has a live connection, takes its place, with all bindings in force and all
// that is queued; the receiver of that one gets CLOSED.
holocast_status holocast_connect(const holocast_engine *engine,
                                 const holocast_client *client,
                                 holocast_connected *connected);

// As holocast_connect, and restores the bindings whose receipts are valid, presented as tokens. A token that is worth nothing is
// counted and binds nothing, nor does a receipt that was revoked. If the instance has a live connection, receipts are ignored.
holocast_status holocast_reconnect(const holocast_engine *engine,
                                   const holocast_client *client,
                                   holocast_text_list tokens,
                                   holocast_connected *connected);

// The next event, if one is queued: OK, EMPTY or CLOSED. The event is to be freed.
holocast_status holocast_connection_try_recv(holocast_connection *connection, holocast_event **event);

// Blocks the thread until the next event, at most so many milliseconds: OK, TIMEOUT or CLOSED. HOLOCAST_FOREVER is no bound. The event
// is to be freed.
holocast_status holocast_connection_recv(holocast_connection *connection,
                                         uint64_t timeout_ms,
                                         holocast_event **event);

// The next event, if one is queued: OK, EMPTY or CLOSED. After EMPTY the waker is called once as soon as there may be something; poll again
// then, and until EMPTY comes. The last waker counts. The event is to be freed.
holocast_status holocast_connection_poll_recv(holocast_connection *connection,
                                              const holocast_waker *waker,
                                              holocast_event **event);

// Ends a connection, unless it has ended or was superseded, and frees it; null is fine. Its events stay valid.
void holocast_connection_free(holocast_connection *connection);

// An engine with these settings; null: with the default ones.
holocast_status holocast_engine_new(const holocast_config *config, holocast_engine **engine);

// Another handle to the same engine, to be freed on its own.
holocast_status holocast_engine_clone(const holocast_engine *engine, holocast_engine **clone);

// Frees a handle; null is fine. Ends nothing: connections and lanes go on.
void holocast_engine_free(holocast_engine *engine);

// Replaces the keys of receipt tokens, each of 32 random bytes or more: the first signs, all verify. Copied.
holocast_status holocast_set_signing_keys(const holocast_engine *engine, holocast_bytes_list keys);

// Binds every live connection that matches the identity to the channel, for a component, at one instant, and takes back the identity's
// own revocations. Each gets SUBSCRIBED with a receipt. How many matched is written to matched, unless that is null.
holocast_status holocast_subscribe(const holocast_engine *engine,
                                   const holocast_identity *identity,
                                   const holocast_channel *channel,
                                   holocast_text cid,
                                   size_t *matched);

// Drops a binding from every live connection that matches the identity, at one instant, and remembers it against receipts. Each gets
// UNSUBSCRIBED. How many matched is written to matched, unless that is null.
holocast_status holocast_unsubscribe(const holocast_engine *engine,
                                     const holocast_identity *identity,
                                     const holocast_channel *channel,
                                     holocast_text cid,
                                     size_t *matched);

// A kick: drops all bindings to the channel from every live connection that matches the identity, at one instant, and remembers it
// against receipts. How many lost something is written to lost, unless that is null; each of them gets UNSUBSCRIBED.
holocast_status holocast_unsubscribe_all(const holocast_engine *engine,
                                         const holocast_identity *identity,
                                         const holocast_channel *channel,
                                         size_t *lost);

// Delivers an action once to every connection with a binding on the channel; waits for nobody. The params are copied once, for all
// receivers together. Whom it reached is written to reach, unless that is null.
holocast_status holocast_broadcast_action(const holocast_engine *engine,
                                          const holocast_channel *channel,
                                          holocast_text action,
                                          holocast_bytes params,
                                          holocast_reach *reach);

// As holocast_broadcast_action, to all but the connections that match any of the excluded identities.
holocast_status holocast_broadcast_action_except(const holocast_engine *engine,
                                                 holocast_identity_list excluded,
                                                 const holocast_channel *channel,
                                                 holocast_text action,
                                                 holocast_bytes params,
                                                 holocast_reach *reach);

// Binds a component of the client's own instance, authorized by its current user, without an event. The fresh receipt is written to
// receipts, to be freed; null if it was bound already. Without a live connection only the receipt is issued.
holocast_status holocast_put_subscription(const holocast_engine *engine,
                                          const holocast_client *client,
                                          const holocast_channel *channel,
                                          holocast_text cid,
                                          holocast_receipts **receipts);

// Unbinds a component of the client's own instance, without an event, and remembers it against receipts. Whether it was bound is written to
// dropped, unless that is null.
holocast_status holocast_delete_subscription(const holocast_engine *engine,
                                             const holocast_client *client,
                                             const holocast_channel *channel,
                                             holocast_text cid,
                                             bool *dropped);

// Gives a live connection another session and user: login, logout, rotation. What another user authorized is dropped. Whether the
// instance has a live connection is written to found, unless that is null; without one nothing is kept.
holocast_status holocast_identify(const holocast_engine *engine,
                                  const holocast_client *client,
                                  bool *found);

// Ends the connection of an instance, with all its bindings; its receiver gets CLOSED. Whether it had one is written to ended, unless
// that is null.
holocast_status holocast_disconnect(const holocast_engine *engine,
                                    holocast_text instance,
                                    bool *ended);

// Ends all connections, each with CLOSED after what is queued for it, which can still be taken. Whatever would connect, bind or broadcast
// ends with HOLOCAST_STATUS_SHUT_DOWN from here on. How many connections were told is written to told, unless that is null. There is no
// way back.
holocast_status holocast_shutdown(const holocast_engine *engine,
                                  size_t *told);

// What the engine holds and has done. Walks over all channels and connections.
holocast_status holocast_stats_of(const holocast_engine *engine, holocast_stats *stats);

// What an event is; none for null.
holocast_event_kind holocast_event_kind_of(const holocast_event *event);

// The text of the channel that an event is of: of BROADCAST, BATCH and SUBSCRIBED.
holocast_status holocast_event_channel(const holocast_event *event, holocast_text *channel);

// The bindings that an event is of: of BROADCAST, one for each component that it is for; of SUBSCRIBED, the one; of UNSUBSCRIBED,
// those that are gone, in order.
holocast_status holocast_event_keys(const holocast_event *event,
                                    holocast_key_list *keys);

// The name of the action: of BROADCAST and BATCH.
holocast_status holocast_event_action(const holocast_event *event, holocast_text *action);

// The params, shared by all receivers: of BROADCAST and BATCH.
holocast_status holocast_event_params(const holocast_event *event, holocast_bytes *params);

// The receipt to keep for reconnects: of SUBSCRIBED.
holocast_status holocast_event_receipt(const holocast_event *event, holocast_receipt *receipt);

// How many broadcasts were lost: of LAGGED.
holocast_status holocast_event_lost(const holocast_event *event, uint64_t *lost);

// Why the connection ended: of CLOSED.
holocast_status holocast_event_reason(const holocast_event *event, holocast_close_reason *reason);

// The connection of a lane that an event is for, by the socket it was made with: of all but BATCH, and LAGGED if it is the whole lane's.
holocast_status holocast_event_socket(const holocast_event *event,
                                      uint64_t *socket);

// The next receivers of a BATCH, at most so many; none: all were handed out. Each is handed out once. Work a batch off before you take the
// next event. The list is valid until the next call for this event, or until that is freed; what is not read counts as released.
holocast_status holocast_event_receivers(holocast_event *event,
                                         size_t most,
                                         holocast_receiver_list *receivers);

// Frees an event; null is fine.
void holocast_event_free(holocast_event *event);

// A lane with no connections.
holocast_status holocast_lane_new(const holocast_engine *engine, holocast_lane **lane);

// As holocast_connect, received by the lane. The socket is a value of your own that comes with everything that is for the connection.
holocast_status holocast_lane_connect(holocast_lane *lane,
                                      const holocast_client *client,
                                      uint64_t socket,
                                      holocast_lane_connected *connected);

// As holocast_reconnect, received by the lane.
holocast_status holocast_lane_reconnect(holocast_lane *lane,
                                        const holocast_client *client,
                                        holocast_text_list tokens,
                                        uint64_t socket,
                                        holocast_lane_connected *connected);

// Ends a connection of the lane: nothing comes for it any more, not even its end, and its socket may be given to another one. Whether
// it was this lane's and live is written to ended, unless that is null.
holocast_status holocast_lane_disconnect(holocast_lane *lane,
                                         uint64_t key,
                                         bool *ended);

// The next event, if one is queued: OK or EMPTY. The event is to be freed.
holocast_status holocast_lane_try_recv(holocast_lane *lane, holocast_event **event);

// Blocks the thread until the next event, at most so many milliseconds: OK or TIMEOUT. HOLOCAST_FOREVER is no bound. The event is to be
// freed.
holocast_status holocast_lane_recv(holocast_lane *lane,
                                   uint64_t timeout_ms,
                                   holocast_event **event);

// The next event, if one is queued: OK or EMPTY. After EMPTY the waker is called once as soon as there may be something; poll again then,
// and until EMPTY comes. The last waker counts. The event is to be freed.
holocast_status holocast_lane_poll_recv(holocast_lane *lane,
                                        const holocast_waker *waker,
                                        holocast_event **event);

// Ends all connections of a lane and frees it; null is fine. Its events stay valid.
void holocast_lane_free(holocast_lane *lane);

// The list of receipts; empty for null, which is what a call gives out that has none. Valid until they are freed.
holocast_receipt_list holocast_receipts_list(const holocast_receipts *receipts);

// Frees receipts; null is fine.
void holocast_receipts_free(holocast_receipts *receipts);

// What a status means, in a few words; never null, valid for good.
const char *holocast_status_text(uint32_t status);

// Why the last call of this thread that did not end with OK did not; empty if there was none. Valid until another one of this thread.
holocast_text holocast_last_error(void);

// The version of the library. The interface is not frozen before 1.0: use the header of the same version.
const char *holocast_version(void);

// A waker that calls wake(context). It is called on whatever thread has something for the receiver: a publisher's, one that subscribes or
// disconnects, and the receiver's own inside a poll; by several at once, and also when nothing is there. It must be quick, must not block,
// throw or longjmp, and must not touch the connection or lane that it wakes, only see to it that its thread does (write to an eventfd or
// pipe, post to a queue). It may use the engine. The other function, release(context), is called once, on any thread, when wake will not be
// called any more; it may be null, then the context has to stay for good, or be null.
holocast_status holocast_waker_new(void (*wake)(void *context),
                                   void (*release)(void *context),
                                   void *context,
                                   holocast_waker **waker);

// Frees a waker; null is fine. Who waits by it keeps it until that wait is over, or its connection or lane is freed.
void holocast_waker_free(holocast_waker *waker);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HOLOCAST_H */

// How to make the values above. Texts that end with a NUL: of other ones fill in data and len.

static inline holocast_text holocast_text_of(const char *text) {
  holocast_text made = {text, strlen(text)};
  return made;
}

static inline holocast_bytes holocast_bytes_of(const void *data, size_t len) {
  holocast_bytes made = {data, len};
  return made;
}

static inline holocast_value holocast_value_of(uint32_t kind, int64_t number, holocast_text text) {
  holocast_value made = {kind, number, text};
  return made;
}

static inline holocast_value holocast_none(void) {
  return holocast_value_of(HOLOCAST_VALUE_KIND_NONE, 0, holocast_text_of(""));
}

static inline holocast_value holocast_int(int64_t number) {
  return holocast_value_of(HOLOCAST_VALUE_KIND_INT, number, holocast_text_of(""));
}

static inline holocast_value holocast_string(const char *text) {
  return holocast_value_of(HOLOCAST_VALUE_KIND_STRING, 0, holocast_text_of(text));
}

static inline holocast_value holocast_atom(const char *text) {
  return holocast_value_of(HOLOCAST_VALUE_KIND_ATOM, 0, holocast_text_of(text));
}

static inline holocast_identity holocast_instance(const char *instance) {
  holocast_identity made = {HOLOCAST_IDENTITY_KIND_INSTANCE, holocast_string(instance)};
  return made;
}

static inline holocast_identity holocast_session(holocast_value session) {
  holocast_identity made = {HOLOCAST_IDENTITY_KIND_SESSION, session};
  return made;
}

static inline holocast_identity holocast_user(holocast_value user) {
  holocast_identity made = {HOLOCAST_IDENTITY_KIND_USER, user};
  return made;
}

static inline holocast_client holocast_client_of(const char *instance, holocast_value session, holocast_value user) {
  holocast_client made = {holocast_text_of(instance), session, user};
  return made;
}

static inline holocast_identity_list holocast_identities(const holocast_identity *items, size_t len) {
  holocast_identity_list made = {items, len};
  return made;
}

static inline holocast_text_list holocast_texts(const holocast_text *items, size_t len) {
  holocast_text_list made = {items, len};
  return made;
}

static inline bool holocast_text_equals(holocast_text text, const char *other) {
  return text.len == strlen(other) && memcmp(text.data, other, text.len) == 0;
}
