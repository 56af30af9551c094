#pragma once

// The Socket Mode connection: kept up, replaced without a gap, given up when it is dead. Sources:
// docs.slack.dev, "Using Socket Mode", "apps.connections.open"; what is not documented there is
// marked in the code.

#include "channels/slack/envelope.h"
#include "channels/slack/web_api.h"

struct socket_mode;

enum socket_state {
    SOCKET_OFF,      // not started, or stopped
    SOCKET_TRYING,   // connecting, or waiting to
    SOCKET_UP,       // hello has come
    SOCKET_DISABLED, // Socket Mode is switched off in the app's settings: probed now and then
    SOCKET_REFUSED,  // the app token is no good: a person must act; likewise
};

struct socket_handler {
    // hello: connected and heard. app_id may be "". connections: Slack's count (0 unknown), of
    // which `ours` are known to be ours.
    void (*on_up)(const char *app_id, int64_t connections, int ours, void *data);
    void (*on_state)(enum socket_state state, const char *why, void *data);
    // One envelope that is neither hello nor disconnect. To keep it, take root and leave NULL.
    void (*on_envelope)(struct envelope *e, void *data);
    void *data;
};

// Borrows all but the handler struct. -ENOMEM or a UV_E* code.
int socket_mode_new(uv_loop_t *loop, struct slack_api *api, const struct socket_handler *handler,
                    bool plain_loopback, struct socket_mode **ret_socket) MUST_CHECK;
void socket_mode_start(struct socket_mode *m);
// Closes what is open with a close frame (at most WS_CLOSE_MS) and frees; closed comes when no
// socket is left, at once or later.
void socket_mode_close(struct socket_mode *m, void (*closed)(void *data), void *data);

// Acknowledges an envelope: on the connection that delivered it while that is open, else on the
// newest (seen to be accepted).
void socket_mode_ack(struct socket_mode *m, const char *envelope_id);
enum socket_state socket_mode_state(const struct socket_mode *m);
const char *socket_mode_why(const struct socket_mode *m); // one line for people
