#pragma once

// JSON-RPC 2.0 codec: one line in, one message out, and the lines that answer it. Ids are kept as
// the bytes that came, so that a number beyond 2^53 or a string with escapes goes back exactly as
// it was. Pure.

#include "common/json.h"

#define RPC_MAX_ID 1024 // bytes; a longer id is refused
#define RPC_MAX_METHOD 128

enum rpc_error_code { // JSON-RPC 2.0, 5.1
    RPC_PARSE_ERROR = -32700,
    RPC_INVALID_REQUEST = -32600,
    RPC_METHOD_NOT_FOUND = -32601,
    RPC_INVALID_PARAMS = -32602,
    RPC_INTERNAL_ERROR = -32603,
};

enum rpc_kind { RPC_REQUEST, RPC_NOTIFICATION, RPC_RESPONSE, RPC_INVALID };

extern const struct str rpc_no_id; // null: the answer to what has no id that can be read

struct rpc_msg {
    enum rpc_kind kind;
    struct str id;     // raw JSON, borrowed from the line; "null" when there is none to answer to
    struct str params; // raw JSON, borrowed from the line; .p NULL when absent or null
    char method[RPC_MAX_METHOD]; // unescaped; a longer one is cut
    int code;                    // of RPC_INVALID: what to answer
    const char *why;             // of RPC_INVALID: static text
};

// Reads one message. What is not a message of MCP 2025-11-25 ("Base protocol") is RPC_INVALID: text
// that is not JSON (-32700); batches, another "jsonrpc" than "2.0", an id that is neither string
// nor number (MCP forbids null), a member named twice (-32600).
void rpc_read(struct str line, struct rpc_msg *ret_msg);

// The raw value of an object's member; the last one when it is named twice. False when text is not
// an object or has no such member.
bool rpc_member(struct str object, const char *key, struct str *ret_value);

// One JSON object of valid UTF-8 without raw control characters: fit to stand inside a line.
bool rpc_is_clean_object(struct str json);

// The lines. Each appends one to out, \n included; what fails sticks in out.
void rpc_write_error(struct buf *out, struct str id, int code, const char *message);
// Where memory does not suffice for an answer: -32603 to the id, in a buffer of the caller's.
#define RPC_NO_MEMORY (RPC_MAX_ID + 128)
struct str rpc_no_memory(char line[RPC_NO_MEMORY], struct str id);
void rpc_write_notification(struct buf *out, const char *method, struct str params_json);
// {"jsonrpc":"2.0","id":ID,"result": up to the result, which the caller writes; then close.
struct jw rpc_open_result(struct buf *out, struct str id);
void rpc_close_result(struct jw *w);
