/* SPDX-License-Identifier: Apache-2.0 */
/* Records are decrypted into the reader's memory and encrypted out of the writer's. What the
 * library cannot do at once it says, and the one who asked waits (net/stream.c). */
#include "net/stream_tls.h"

#include "base/arena.h"
#include "base/check.h"
#include "fiber/block.h"
#include "fiber/thread.h"
#include "net/tls_inside.h"

#include <assert.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)STREAM_PIECE <= (int)BLOCK_SIZE, "a record is gathered in a block");

static int state_index; /* where a library object keeps our state */
static pthread_once_t prepared = PTHREAD_ONCE_INIT;

static void prepare(void)
{
    tls_socket_prepare();
    state_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    check(state_index >= 0);
}

struct tls *tls_of(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, state_index);
}

/* Nothing more may be asked of the library. An end without a farewell is a mere error of this
 * connection; all else that the library finds is told in an alert, or was. */
static void fail(struct tls *tls, int error)
{
    tls->is_failed = true;
    int reason = ERR_GET_REASON(ERR_peek_error());
    if (error == SSL_ERROR_SSL && reason != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        tls_resume_forget(tls->ssl);
        tls->alert = tls_alert_text(reason);
    }
    ERR_clear_error();
}

/* What a call of the library that did not succeed means. The thread's queue of errors, which says
 * so, is empty before each call: whoever finds something in it empties it, which is done for every
 * connection that fails and for none that goes on. */
static ssize_t answer(struct tls *tls, int result)
{
    int error = SSL_get_error(tls->ssl, result);
    switch (error) {
    case SSL_ERROR_WANT_READ:
        return STREAM_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return STREAM_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return STREAM_ENDED;
    default:
        /* An end without a farewell may be somebody else's doing: never a clean one. */
        fail(tls, error);
        tls->stream->watch.ready |= READY_BROKEN;
        return STREAM_FAILED;
    }
}

static ssize_t tls_receive(struct stream *stream, void *into, size_t size)
{
    struct tls *tls = stream->tls;
    if (tls->is_failed)
        return STREAM_FAILED;
    tls->stream = stream;
    size_t count = 0;
    int result = tls_read(tls->ssl, into, size, &count);
    if (result == 1) {
        tls->is_starved = false;
        return (ssize_t)count;
    }
    ssize_t wants = answer(tls, result);
    tls->is_starved = wants == STREAM_WANTS_READ;
    return wants;
}

static bool tls_has_input(const struct stream *stream)
{
    const struct tls *tls = stream->tls;
    return tls->is_failed || (!tls->is_starved && SSL_has_pending(tls->ssl) == 1);
}

/* Small parts travel in one record. */
static size_t gather(char *into, const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count && size < STREAM_PIECE; i++) {
        size_t room = STREAM_PIECE - size;
        size_t some = parts[i].iov_len < room ? parts[i].iov_len : room;
        memcpy(into + size, parts[i].iov_base, some);
        size += some;
    }
    return size;
}

static ssize_t tls_send(struct stream *stream, const struct iovec *parts, int count)
{
    struct tls *tls = stream->tls;
    if (tls->is_failed)
        return STREAM_FAILED;
    tls->stream = stream;
    char *block = NULL;
    const void *from = parts[0].iov_base;
    size_t size = parts[0].iov_len;
    if (count > 1 && size < STREAM_PIECE) {
        block = block_take();
        size = gather(block, parts, count);
        from = block;
    }
    size_t sent = 0;
    int result = 1;
    if (size > 0)
        result = tls_write(tls->ssl, from, size < STREAM_PIECE ? size : STREAM_PIECE, &sent);
    if (block != NULL)
        block_give(block);
    if (result == 1)
        return (ssize_t)sent;
    ssize_t wants = answer(tls, result);
    return wants == STREAM_ENDED ? STREAM_FAILED : wants;
}

size_t stream_tls_copied(const struct stream *stream, size_t size)
{
    const struct tls *tls = stream->tls;
    size_t piece = size < STREAM_PIECE ? size : STREAM_PIECE;
    /* What waits may also be an alert, or a record of the few bytes that a client has asked for. */
    bool is_copied = tls != NULL && !tls->is_failed && SSL_want(tls->ssl) == SSL_WRITING &&
                     tls->record_size > piece;
    return is_copied ? piece : 0;
}

static void say_farewell(struct stream *stream)
{
    struct tls *tls = stream->tls;
    if (!tls->is_open || tls->is_failed || (stream->watch.ready & READY_BROKEN))
        return;
    tls->stream = stream;
    ERR_clear_error();
    SSL_shutdown(tls->ssl); /* best effort: nobody waits for room */
    ERR_clear_error();
}

static void tls_shutdown(struct stream *stream)
{
    say_farewell(stream);
    socket_shutdown_send(stream->watch.fd);
}

static void tls_free(struct tls *tls)
{
    /* A connection that ends without a farewell is no reason not to resume the session
     * (RFC 5246 §7.2.1): the library would give up that of a server. */
    SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(tls->ssl);
    free(tls->text);
    free(tls);
    thread_commit(thread_self(), -STREAM_TLS_BYTES);
}

static void tls_close(struct stream *stream, bool reset)
{
    struct tls *tls = stream->tls;
    if (tls != NULL && !reset)
        say_farewell(stream);
    stream_tcp_close(stream, reset);
    stream->tls = NULL;
    if (tls != NULL)
        tls_free(tls);
}

static const struct stream_operations TLS = {
    .receive = tls_receive,
    .send = tls_send,
    .has_input = tls_has_input,
    .shutdown = tls_shutdown,
    .close = tls_close,
};

static struct tls *begin(struct stream *stream, SSL *ssl)
{
    thread_commit(thread_self(), STREAM_TLS_BYTES);
    struct tls *tls = memory_zero(sizeof *tls);
    tls->ssl = ssl;
    tls_socket_join(tls);
    check(SSL_set_ex_data(ssl, state_index, tls) == 1);
    stream->tls = tls;
    stream->operations = &TLS;
    return tls;
}

/* The name is of no site: the handshake rests while somebody looks for it. */
static void find_context(struct tls *tls, int64_t deadline)
{
    const struct tls_finder *finder = tls_server_finder(tls->server);
    struct slice name = slice_of(tls->server_name, tls->server_name_size);
    tls->context = finder->find(finder->argument, name, deadline);
    tls->was_asked_for = true;
}

static enum status shake(struct stream *stream, int64_t deadline, struct tls_trouble *trouble)
{
    struct tls *tls = stream->tls;
    for (;;) {
        tls->stream = stream;
        ERR_clear_error();
        int result = tls_shake(tls->ssl);
        if (result == 1)
            break;
        int error = SSL_get_error(tls->ssl, result);
        if (error == SSL_ERROR_WANT_CLIENT_HELLO_CB) {
            find_context(tls, deadline);
            continue;
        }
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            bool is_broken = error == SSL_ERROR_SYSCALL;
            enum status status = is_broken ? ERR_SYSTEM : tls_explain(tls, trouble);
            fail(tls, error);
            return status;
        }
        TRY(stream_wait_for(stream,
                            error == SSL_ERROR_WANT_READ ? STREAM_WANTS_READ : STREAM_WANTS_WRITE,
                            deadline));
    }
    ERR_clear_error();
    tls->is_open = true;
    return OK;
}

static const char *name_of(const X509 *leaf, BIO *bio)
{
    X509_NAME_print_ex(bio, X509_get_subject_name(leaf), 0, XN_FLAG_RFC2253);
    char *text;
    long size = BIO_get_mem_data(bio, &text);
    (void)size;
    return text;
}

/* What a client's certificate says, after its handshake. */
static void note_client(struct tls *tls)
{
    struct tls_facts *facts = &tls->facts;
    X509 *leaf = SSL_get1_peer_certificate(tls->ssl);
    if (leaf == NULL)
        return;
    BIO *bio = BIO_new(BIO_s_mem());
    check(bio != NULL);
    const char *name = name_of(leaf, bio);
    size_t size = (size_t)BIO_ctrl_pending(bio);
    tls->text = memory_alloc(CERTIFICATE_FINGERPRINT_SIZE + size);
    certificate_fingerprint(&(struct certificate){.leaf = leaf}, tls->text);
    facts->client_fingerprint = slice_of(tls->text, CERTIFICATE_FINGERPRINT_SIZE);
    if (size > 0)
        memcpy(tls->text + CERTIFICATE_FINGERPRINT_SIZE, name, size);
    facts->client_name = slice_of(tls->text + CERTIFICATE_FINGERPRINT_SIZE, size);
    facts->is_client_verified = SSL_get_verify_result(tls->ssl) == X509_V_OK;
    BIO_free(bio);
    X509_free(leaf);
    ERR_clear_error();
}

static void note(struct tls *tls, int64_t began)
{
    struct tls_facts *facts = &tls->facts;
    const unsigned char *protocol = NULL;
    unsigned size = 0;
    SSL_get0_alpn_selected(tls->ssl, &protocol, &size);
    facts->protocol = slice_of((const char *)protocol, size);
    facts->version = SSL_version(tls->ssl) == TLS1_3_VERSION ? SLICE("1.3") : SLICE("1.2");
    facts->cipher = slice_from_cstring(SSL_CIPHER_standard_name(SSL_get_current_cipher(tls->ssl)));
    facts->is_resumed = SSL_session_reused(tls->ssl) == 1;
    facts->handshake_time = clock_monotonic() - began;
}

enum status stream_tls_accept(struct stream *stream, const struct tls_server *server,
                              int64_t deadline, struct tls_trouble *trouble)
{
    check(stream_is_plain(stream));
    pthread_once(&prepared, prepare);
    int64_t began = clock_monotonic();
    struct tls_context *first = tls_server_first(server);
    SSL_CTX *context = tls_context_current(first);
    SSL *ssl = SSL_new(context);
    SSL_CTX_free(context);
    check(ssl != NULL);
    SSL_set_accept_state(ssl);
    struct tls *tls = begin(stream, ssl);
    tls->server = server;
    tls->context = first;
    enum status status = shake(stream, deadline, trouble);
    tls->facts.server_name = slice_of(tls->server_name, tls->server_name_size);
    if (status != OK)
        return status;
    note(tls, began);
    tls->facts.policy = tls_context_policy(tls->context);
    if (tls->context->config.clients != TLS_CLIENTS_ANY)
        note_client(tls);
    tls->server = NULL;
    return OK;
}

bool stream_tls_was_clear(struct stream *stream)
{
    struct tls *tls = stream->tls;
    check(tls != NULL && !tls->is_open);
    if (!tls_is_http(tls))
        return false;
    stream->tls = NULL;
    stream_tcp_bare(stream);
    tls_free(tls);
    return true;
}

enum status stream_tls_connect(struct stream *stream, struct tls_client *client,
                               struct tls_sessions *sessions, int64_t deadline,
                               struct tls_trouble *trouble)
{
    return stream_tls_connect_as(stream, client, sessions, SLICE(""), deadline, trouble);
}

enum status stream_tls_connect_as(struct stream *stream, struct tls_client *client,
                                  struct tls_sessions *sessions, struct slice protocols,
                                  int64_t deadline, struct tls_trouble *trouble)
{
    check(stream_is_plain(stream));
    pthread_once(&prepared, prepare);
    int64_t began = clock_monotonic();
    struct tls *tls = begin(stream, tls_client_start(client, sessions));
    tls->sessions = sessions;
    if (protocols.size > 0)
        check(SSL_set_alpn_protos(tls->ssl, (const unsigned char *)protocols.data,
                                  (unsigned)protocols.size) == 0);
    TRY(shake(stream, deadline, trouble));
    note(tls, began);
    return OK;
}

const struct tls_facts *stream_tls_facts(const struct stream *stream)
{
    return stream->tls == NULL ? NULL : &stream->tls->facts;
}

const char *stream_tls_alert(const struct stream *stream)
{
    return stream->tls == NULL ? NULL : stream->tls->alert;
}

struct slice stream_tls_protocol(const struct stream *stream)
{
    return stream->tls == NULL ? SLICE("") : stream->tls->facts.protocol;
}

void stream_tls_drop(struct stream *from)
{
    if (from->tls != NULL)
        tls_free(from->tls);
    from->tls = NULL;
}

void stream_tls_adopt(struct stream *to, struct stream *from)
{
    check(stream_is_plain(to));
    to->tls = from->tls;
    from->tls = NULL;
    if (to->tls != NULL)
        to->operations = &TLS;
}
