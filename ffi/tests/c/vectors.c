/* The runner: reads a line, does it, turns what came into words, compares them with the line's right side. */
#include "vectors.h"

#include <stdbool.h>

/* ---- words ---- */

typedef struct word {
    const char *start, *end;
} word;

static size_t length_of(const char *text) {
    size_t length = 0;
    while (text[length]) length++;
    return length;
}

static bool same(word a, const char *b) {
    const char *at = a.start;
    for (; at < a.end && *b; at++, b++)
        if (*at != *b) return false;
    return at == a.end && !*b;
}

/* What comes before a separator, which is taken too; what is left, where there is none. */
static word until(word *rest, char separator) {
    word found = {rest->start, rest->start};
    while (found.end < rest->end && *found.end != separator) found.end++;
    rest->start = found.end < rest->end ? found.end + 1 : found.end;
    return found;
}

/* The next word of a line; empty at its end. */
static word next(word *line) {
    while (line->start < line->end && *line->start == ' ') line->start++;
    return until(line, ' ');
}

static bool is_empty(word w) { return w.start == w.end; }

static bool number(word w, uint64_t *value) {
    if (is_empty(w)) return false;
    *value = 0;
    for (; w.start < w.end; w.start++) {
        if (*w.start < '0' || *w.start > '9') return false;
        *value = *value * 10 + (uint64_t)(*w.start - '0');
    }
    return true;
}

/* Position of a word in a list of names; -1 if it is none. */
static int index_of(word w, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (same(w, names[i])) return i;
    return -1;
}

static const char *const STATES[] = {"idle", "connecting", "ready", "transient_failure", "shutdown"};
static const char *const HEALTH[] = {"unknown", "serving", "not_serving"};
static const char *const OUTCOMES[] = {"success", "failure", "rejected", "cancelled", "timed_out", "abandoned"};
static const char *const POLICIES[] = {"", "pick_first", "round_robin", "pick_random", "weighted_round_robin"};
static const char *const REASONS[] = {"", "no_endpoints", "all_failing", "not_serving"};
static const char *const ACTIONS[] = {"",      "connect",    "disconnect", "cancel_calls",
                                      "close", "room_again", "reresolve",  "state"};

/* ---- what came, as text ---- */

typedef struct text {
    char bytes[96];
    size_t length;
} text;

static void add(text *t, const char *more) {
    while (*more && t->length < sizeof t->bytes) t->bytes[t->length++] = *more++;
}

static void add_number(text *t, uint64_t value) {
    char digits[21];
    size_t at = sizeof digits;
    digits[--at] = 0;
    do digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    add(t, digits + at);
}

/* ---- a case ---- */

typedef struct known {
    uint64_t id;
    evener_handle handle;
} known;

typedef struct run {
    const vectors_host *host;
    const char *file;
    vectors_result *result;
    unsigned line_number;
    word line; /* what is left of the line */

    bool inside, failed, skipped, opened;
    word name;
    evener_limits limits;
    uint64_t cursor_count, cursor_key;
    known *known; /* the last handle of every endpoint seen */
    size_t known_count, known_capacity;
    evener_endpoint *list; /* what is left of the memory */
    size_t list_capacity;
} run;

static void say(const run *r, const char *text) { r->host->say(text, length_of(text)); }

static void say_word(const run *r, word w) { r->host->say(w.start, (size_t)(w.end - w.start)); }

static void fail(run *r, const char *why, const text *got) {
    text place = {{0}, 0};
    add(&place, r->file);
    add(&place, ":");
    add_number(&place, r->line_number);
    add(&place, ": case ");
    r->host->say(place.bytes, place.length);
    say_word(r, r->name);
    say(r, ": ");
    say(r, why);
    if (got) {
        say(r, " `");
        r->host->say(got->bytes, got->length);
        say(r, "`");
    }
    say(r, "\n");
    r->failed = true;
}

/* Compares one thing that came with the next word of the line. */
static void expect(run *r, const text *got) {
    if (r->failed) return;
    word wanted = next(&r->line);
    bool equal = (size_t)(wanted.end - wanted.start) == got->length;
    for (size_t i = 0; equal && i < got->length; i++) equal = wanted.start[i] == got->bytes[i];
    if (!equal) fail(r, "came", got);
}

static void expect_word(run *r, const char *came) {
    text got = {{0}, 0};
    add(&got, came);
    expect(r, &got);
}

static void expect_number(run *r, uint64_t came) {
    text got = {{0}, 0};
    add_number(&got, came);
    expect(r, &got);
}

static void expect_end(run *r) {
    if (!r->failed && !is_empty(next(&r->line))) fail(r, "less came than the line says", NULL);
}

static uint64_t take_number(run *r) {
    uint64_t value = 0;
    if (!number(next(&r->line), &value)) fail(r, "a number is missing", NULL);
    return value;
}

static uint32_t take_name(run *r, const char *const *names, int count) {
    int at = index_of(next(&r->line), names, count);
    if (at < 0) fail(r, "a name is not known", NULL);
    return at < 0 ? 0 : (uint32_t)at;
}
#define TAKE(r, names) take_name(r, names, (int)(sizeof(names) / sizeof *(names)))

static void take_equals(run *r) {
    if (!same(next(&r->line), "=")) fail(r, "`=` is missing", NULL);
}

static void must(run *r, evener_status status) {
    text got = {{0}, 0};
    if (status == EVENER_OK || r->failed) return;
    add(&got, evener_status_message(status));
    fail(r, "status", &got);
}

/* ---- endpoints ---- */

static known *find(run *r, uint64_t id) {
    for (size_t i = 0; i < r->known_count; i++)
        if (r->known[i].id == id) return &r->known[i];
    return NULL;
}

/* The handle of an endpoint: the controller's, or the last one known. */
static evener_handle handle_of(run *r, uint64_t id) {
    const uint64_t words[2] = {id, 0};
    evener_handle handle = {0, 0};
    known *entry = find(r, id);
    evener_status status = r->host->binding->handle(r->host->self, words, &handle);
    if (status == EVENER_NONE) return entry ? entry->handle : handle;
    must(r, status);
    if (!entry && r->known_count == r->known_capacity) {
        fail(r, "more endpoints than the runner remembers", NULL);
        return handle;
    }
    if (!entry) entry = &r->known[r->known_count++];
    entry->id = id;
    entry->handle = handle;
    return handle;
}

/* The endpoint that a pick's handle names. */
static uint64_t id_at(run *r, evener_handle handle) {
    for (size_t i = 0; i < r->known_count; i++) {
        const evener_handle *known = &r->known[i].handle;
        if (known->slot == handle.slot && known->generation == handle.generation) return r->known[i].id;
    }
    fail(r, "picked a handle that no endpoint ever had", NULL);
    return 0;
}

/* Remembers the handles of a list, so that later lines may name endpoints that are gone. */
static void remember(run *r, size_t count) {
    for (size_t i = 0; i < count && !r->failed; i++) (void)handle_of(r, r->list[i].id[0]);
}

/* ---- opening ---- */

static size_t round_up(size_t value, size_t to) { return (value + to - 1) / to * to; }

/* Splits the host's memory: the balancer, the handles known, the list of an update. False: it does not fit. */
static bool lay_out(run *r, size_t balancer) {
    char *memory = r->host->memory;
    size_t at = round_up(balancer, 64);
    r->known_capacity = 2 * (size_t)r->limits.endpoints + 8;
    r->known_count = 0;
    r->known = (known *)(void *)(memory + at);
    at = round_up(at + r->known_capacity * sizeof(known), 64);
    r->list = (evener_endpoint *)(void *)(memory + at);
    if (at > r->host->length) return false;
    r->list_capacity = (r->host->length - at) / sizeof(evener_endpoint);
    return r->list_capacity >= (size_t)r->limits.endpoints + 2;
}

static void open_balancer(run *r) {
    size_t size = 0;
    if (r->opened || r->failed || r->skipped) return;
    must(r, evener_balancer_size(&r->limits, &size));
    if (r->failed) return;
    if (!lay_out(r, size)) {
        r->skipped = true;
        return;
    }
    must(r, r->host->binding->open(r->host->self, r->host->memory, size, &r->limits));
    r->opened = !r->failed;
    must(r, r->host->binding->set_cursor(r->host->self, (uint32_t)r->cursor_count, (uint32_t)r->cursor_key));
}

static void end_case(run *r) {
    if (!r->inside) return;
    if (r->opened) r->host->binding->close(r->host->self);
    if (r->failed) r->result->failed++;
    else if (r->skipped) r->result->skipped++;
    else r->result->passed++;
    r->inside = r->opened = r->failed = r->skipped = false;
}

static void begin_case(run *r) {
    static const evener_limits none;
    end_case(r);
    while (r->line.start < r->line.end && *r->line.start == ' ') r->line.start++;
    r->name = r->line;
    r->inside = true;
    r->limits = none;
    r->limits.struct_size = sizeof r->limits;
    r->limits.drain_timeout = 30000000;
    r->cursor_count = 0;
    r->cursor_key = 1;
}

/* ---- lines ---- */

static void do_update(run *r) {
    size_t count = 0;
    for (word entry; !r->failed && !same(entry = next(&r->line), "=");) {
        uint64_t value[3] = {0, 0, 0}; /* id, weight, priority */
        unsigned parts = 0;
        for (word rest = entry; parts < 3 && number(until(&rest, ':'), &value[parts]);) parts++;
        if (parts < 2) {
            fail(r, "not ID:WEIGHT[:PRIORITY]", NULL);
            return;
        }
        if (count == r->list_capacity) {
            r->skipped = true;
            return;
        }
        evener_endpoint endpoint = {{value[0], 0}, value[0], (uint32_t)value[1], (uint32_t)value[2]};
        r->list[count++] = endpoint;
    }
    evener_changes changes = {0, 0, 0, 0};
    evener_status status = r->host->binding->update(r->host->self, r->list, count, &changes);
    if (status == EVENER_FULL) {
        expect_word(r, "full");
        return;
    }
    must(r, status);
    expect_number(r, changes.added);
    expect_number(r, changes.removed);
    expect_number(r, changes.kept);
    expect_number(r, changes.returned);
    remember(r, count);
}

static void stale_or_ok(run *r, evener_status status) {
    word equals = next(&r->line);
    if (is_empty(equals)) {
        must(r, status);
    } else {
        word wanted = next(&r->line);
        if (!same(equals, "=") || !same(wanted, "stale")) fail(r, "only `= stale` may follow", NULL);
        else if (status != EVENER_STALE) fail(r, "the handle is not stale", NULL);
    }
}

static void do_state(run *r) {
    evener_handle handle = handle_of(r, take_number(r));
    uint32_t state = TAKE(r, STATES);
    if (!r->failed) stale_or_ok(r, r->host->binding->set_connectivity(r->host->self, handle, state));
}

static void do_health(run *r) {
    evener_handle handle = handle_of(r, take_number(r));
    uint32_t health = TAKE(r, HEALTH);
    if (!r->failed) stale_or_ok(r, r->host->binding->set_health(r->host->self, handle, health));
}

static void do_policy(run *r) {
    uint32_t kind = TAKE(r, POLICIES);
    word flag = next(&r->line);
    if (!is_empty(flag) && !same(flag, "shuffle")) fail(r, "only `shuffle` may follow", NULL);
    if (!r->failed) must(r, r->host->binding->set_policy(r->host->self, kind, !is_empty(flag)));
}

static void expect_action(run *r, const evener_action *action) {
    text got = {{0}, 0};
    if (action->kind == 0 || action->kind > EVENER_ACTION_STATE_CHANGED) {
        fail(r, "an action of no known kind came", NULL);
        return;
    }
    add(&got, ACTIONS[action->kind]);
    if (action->kind <= EVENER_ACTION_CLOSE) {
        add(&got, ":");
        add_number(&got, action->user);
    } else if (action->kind == EVENER_ACTION_STATE_CHANGED && action->state <= EVENER_SHUTDOWN) {
        add(&got, ":");
        add(&got, STATES[action->state]);
    }
    expect(r, &got);
}

static void do_poll(run *r) {
    uint32_t now = (uint32_t)take_number(r);
    take_equals(r);
    evener_action action;
    evener_status status = EVENER_OK;
    bool any = false;
    while (!r->failed && (status = r->host->binding->poll(r->host->self, now, &action)) == EVENER_OK) {
        expect_action(r, &action);
        any = true;
    }
    if (!r->failed && status != EVENER_NONE) must(r, status);
    if (!any) expect_word(r, "-");
}

/* What a pick or a start answered: an endpoint's id, or a word. */
static void expect_answer(run *r, evener_status status, uint64_t user, uint32_t reason) {
    text got = {{0}, 0};
    switch (status) {
    case EVENER_OK: add_number(&got, user); break;
    case EVENER_QUEUE: add(&got, "queue"); break;
    case EVENER_DROP: add(&got, "drop"); break;
    case EVENER_FAIL:
        add(&got, "fail:");
        add(&got, reason <= EVENER_FAIL_NOT_SERVING ? REASONS[reason] : "?");
        break;
    default: must(r, status); return;
    }
    expect(r, &got);
}

static void do_pick(run *r) {
    uint64_t count = take_number(r);
    take_equals(r);
    for (uint64_t i = 0; i < count && !r->failed; i++) {
        evener_handle handle = {0, 0};
        uint64_t user = 0;
        uint32_t reason = 0;
        evener_status status = r->host->binding->pick(r->host->self, &handle, &reason);
        if (status == EVENER_OK) user = id_at(r, handle);
        expect_answer(r, status, user, reason);
    }
}

static unsigned take_ticket(run *r) {
    uint64_t ticket = take_number(r);
    if (ticket >= VECTORS_TICKETS) fail(r, "no such ticket", NULL);
    return r->failed ? 0 : (unsigned)ticket;
}

static void do_start(run *r) {
    unsigned ticket = take_ticket(r);
    uint32_t now = (uint32_t)take_number(r), reason = 0;
    uint64_t user = 0;
    take_equals(r);
    if (r->failed) return;
    evener_status status = r->host->binding->start(r->host->self, ticket, now, &user, &reason);
    expect_answer(r, status, user, reason);
}

static void do_finish(run *r) {
    unsigned ticket = take_ticket(r);
    uint32_t outcome = TAKE(r, OUTCOMES), now = (uint32_t)take_number(r);
    evener_finished finished = {0, 0};
    take_equals(r);
    if (r->failed) return;
    must(r, r->host->binding->finish(r->host->self, ticket, outcome, now, &finished));
    expect_number(r, finished.elapsed);
    if (finished.wake) expect_word(r, "wake");
}

static void do_counters(run *r) {
    evener_handle handle = handle_of(r, take_number(r));
    evener_counters counters = {0, 0, 0, 0, 0};
    take_equals(r);
    if (r->failed) return;
    must(r, r->host->binding->counters(r->host->self, handle, &counters));
    expect_number(r, counters.ok);
    expect_number(r, counters.failed);
    expect_number(r, counters.rejected);
    expect_number(r, counters.other);
    expect_number(r, counters.in_flight);
}

static void do_channel(run *r) {
    uint32_t state = 0;
    take_equals(r);
    must(r, r->host->binding->state(r->host->self, &state));
    expect_word(r, state <= EVENER_SHUTDOWN ? STATES[state] : "?");
}

static void do_connect(run *r) { must(r, r->host->binding->connect(r->host->self)); }

static const struct {
    const char *word;
    void (*act)(run *);
} LINES[] = {
    {"update", do_update},   {"state", do_state},   {"health", do_health}, {"policy", do_policy},
    {"connect", do_connect}, {"poll", do_poll},     {"pick", do_pick},     {"start", do_start},
    {"finish", do_finish},   {"counters", do_counters}, {"channel", do_channel},
};

static void do_limits(run *r) {
    r->limits.endpoints = (uint32_t)take_number(r);
    r->limits.schedule = (uint32_t)take_number(r);
}

/* Lines that say what to open. True if this was one. */
static bool settings(run *r, word what) {
    if (r->opened) return false;
    if (same(what, "limits")) do_limits(r);
    else if (same(what, "seed")) r->limits.seed = take_number(r);
    else if (same(what, "drain_timeout")) r->limits.drain_timeout = (uint32_t)take_number(r);
    else if (same(what, "cursor")) {
        r->cursor_count = take_number(r);
        r->cursor_key = take_number(r);
    } else return false;
    return true;
}

static void do_line(run *r) {
    word what = next(&r->line);
    if (is_empty(what) || *what.start == '#') return;
    if (same(what, "case")) {
        begin_case(r);
        return;
    }
    if (r->failed || r->skipped || settings(r, what)) return;
    open_balancer(r);
    if (!r->opened) return;
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
        if (!same(what, LINES[i].word)) continue;
        LINES[i].act(r);
        if (!r->skipped) expect_end(r);
        return;
    }
    fail(r, "no such line", NULL);
}

void vectors_run(const vectors_host *host, const char *file, const char *text, size_t length, vectors_result *result) {
    static run r; /* Too large for a small stack; the runner is used by one thread. */
    static const run fresh;
    const char *end = text + length;
    r = fresh;
    r.host = host;
    r.file = file;
    r.result = result;
    while (text < end) {
        word line = {text, text};
        while (line.end < end && *line.end != '\n') line.end++;
        text = line.end < end ? line.end + 1 : end;
        r.line = line;
        r.line_number++;
        do_line(&r);
    }
    end_case(&r);
}
