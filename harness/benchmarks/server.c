/* A POP3 server that costs next to nothing: the limit that benchmarks are held against.
 *
 * One thread, epoll, any user and any password, MESSAGES equal messages of OCTETS
 * octets for each session, nothing stored. Prints its port; at SIGUSR1 the number of
 * sessions that ended with QUIT. No more of RFC 1939 than benchmarks ask for.
 *
 * server MESSAGES OCTETS
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_SIZE 4096
#define PEERS 4096

struct text {
    char *octets;
    size_t size;
};

/* What is to be sent of one client: own octets first, then a shared text. */
struct peer {
    int fd;
    size_t heard, sent;
    char line[LINE_SIZE];
    struct text own;
    size_t room;
    const struct text *shared;
    size_t shared_sent;
    int ends;
};

static struct peer *peers[PEERS];
static struct text message, listing, ids, drop;
static long messages, octets, sessions;
static volatile sig_atomic_t asked;

static void ask(int signal) { (void)signal; asked = 1; }

static void add(struct text *text, const char *octets, size_t size) {
    text->octets = realloc(text->octets, text->size + size);
    memcpy(text->octets + text->size, octets, size);
    text->size += size;
}

static void say(struct peer *peer, const char *octets, size_t size) {
    if (peer->own.size + size > peer->room) {
        peer->room = (peer->own.size + size) * 2;
        peer->own.octets = realloc(peer->own.octets, peer->room);
    }
    memcpy(peer->own.octets + peer->own.size, octets, size);
    peer->own.size += size;
}

static void say_text(struct peer *peer, const struct text *text) {
    say(peer, text->octets, text->size);
}

#define SAY(peer, literal) say(peer, literal, sizeof literal - 1)

/* A big text is not copied; it has to be the last thing that is answered for now. */
static void answer(struct peer *peer, char *line) {
    char status[64];
    if (!strncasecmp(line, "RETR", 4)) {
        if (message.size > 65536 && !peer->shared) {
            peer->shared = &message;
            peer->shared_sent = 0;
        } else {
            say_text(peer, &message);
        }
    } else if (!strncasecmp(line, "STAT", 4)) {
        say_text(peer, &drop);
    } else if (!strncasecmp(line, "LIST ", 5)) {
        say(peer, status, (size_t)sprintf(status, "+OK %d %ld\r\n", atoi(line + 5), octets));
    } else if (!strncasecmp(line, "LIST", 4)) {
        say_text(peer, &listing);
    } else if (!strncasecmp(line, "UIDL", 4)) {
        say_text(peer, &ids);
    } else if (!strncasecmp(line, "CAPA", 4)) {
        SAY(peer, "+OK\r\nUSER\r\nUIDL\r\nTOP\r\nPIPELINING\r\n.\r\n");
    } else if (!strncasecmp(line, "QUIT", 4)) {
        SAY(peer, "+OK bye\r\n");
        peer->ends = 1;
        sessions++;
    } else {
        SAY(peer, "+OK\r\n");
    }
}

static void drop_peer(struct peer *peer) {
    close(peer->fd);
    peers[peer->fd] = NULL;
    free(peer->own.octets);
    free(peer);
}

/* Send what there is; 0 where the peer is gone. */
static int flush(int poll, struct peer *peer) {
    while (peer->sent < peer->own.size) {
        ssize_t sent = send(peer->fd, peer->own.octets + peer->sent,
                            peer->own.size - peer->sent, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN) goto later;
            return 0;
        }
        peer->sent += (size_t)sent;
    }
    peer->own.size = peer->sent = 0;
    while (peer->shared && peer->shared_sent < peer->shared->size) {
        ssize_t sent = send(peer->fd, peer->shared->octets + peer->shared_sent,
                            peer->shared->size - peer->shared_sent, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN) goto later;
            return 0;
        }
        peer->shared_sent += (size_t)sent;
    }
    peer->shared = NULL;
    if (peer->ends) return 0;
    struct epoll_event in = {EPOLLIN, {.fd = peer->fd}};
    epoll_ctl(poll, EPOLL_CTL_MOD, peer->fd, &in);
    return 1;
later:;
    struct epoll_event both = {EPOLLIN | EPOLLOUT, {.fd = peer->fd}};
    epoll_ctl(poll, EPOLL_CTL_MOD, peer->fd, &both);
    return 1;
}

static int hear(struct peer *peer) {
    ssize_t got = recv(peer->fd, peer->line + peer->heard, LINE_SIZE - peer->heard, 0);
    if (got <= 0) return got < 0 && errno == EAGAIN;
    peer->heard += (size_t)got;
    char *start = peer->line, *end = peer->line + peer->heard, *feed;
    while ((feed = memchr(start, '\n', (size_t)(end - start)))) {
        *feed = 0;
        answer(peer, start);
        start = feed + 1;
    }
    peer->heard = (size_t)(end - start);
    memmove(peer->line, start, peer->heard);
    return peer->heard < LINE_SIZE;
}

/* A header, and lines of 80 octets; one in fifty begins with a dot, and is sent with two. */
static void fill(void) {
    char line[128];
    const char plain[] =
        "A line that is made to be eighty octets long with its end, and no word too many";
    const char header[] = "Subject: benchmark\r\n\r\n";
    long lines = (octets - (long)sizeof header) / 80;
    octets = (long)sizeof header - 1 + lines * 80;
    add(&message, "+OK\r\n", 5);
    add(&message, header, sizeof header - 1);
    memcpy(line, plain, 78);
    memcpy(line + 78, "\r\n", 2);
    for (long n = 0; n < lines; n++) {
        line[0] = n % 50 == 49 ? '.' : 'A';
        if (line[0] == '.') add(&message, ".", 1);
        add(&message, line, 80);
    }
    add(&message, ".\r\n", 3);
    add(&drop, line, (size_t)sprintf(line, "+OK %ld %ld\r\n", messages, messages * octets));
    add(&listing, "+OK\r\n", 5);
    add(&ids, "+OK\r\n", 5);
    for (long n = 1; n <= messages; n++) {
        add(&listing, line, (size_t)sprintf(line, "%ld %ld\r\n", n, octets));
        add(&ids, line, (size_t)sprintf(line, "%ld id-%08ld\r\n", n, n));
    }
    add(&listing, ".\r\n", 3);
    add(&ids, ".\r\n", 3);
}

int main(int count, char **words) {
    if (count != 3) return 2;
    messages = atol(words[1]);
    octets = atol(words[2]);
    fill();
    struct sigaction action = {.sa_handler = ask};
    sigaction(SIGUSR1, &action, NULL);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    if (bind(listener, (struct sockaddr *)&here, size) || listen(listener, 1024)) return 1;
    getsockname(listener, (struct sockaddr *)&here, &size);
    struct epoll_event event = {EPOLLIN, {.fd = listener}}, events[64];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(poll, events, 64, -1);
        if (asked) {
            asked = 0;
            printf("%ld\n", sessions);
            fflush(stdout);
        }
        for (int n = 0; n < ready; n++) {
            int fd = events[n].data.fd, one = 1;
            if (fd == listener) {
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    if (fd >= PEERS) { close(fd); continue; }
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    peers[fd] = calloc(1, sizeof **peers);
                    peers[fd]->fd = fd;
                    event = (struct epoll_event){EPOLLIN, {.fd = fd}};
                    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
                    SAY(peers[fd], "+OK ready <1.1@benchmark.invalid>\r\n");
                    if (!flush(poll, peers[fd])) drop_peer(peers[fd]);
                }
                continue;
            }
            if (!peers[fd]) continue;
            if ((events[n].events & (EPOLLIN | EPOLLHUP)) && !hear(peers[fd])) {
                drop_peer(peers[fd]);
                continue;
            }
            if (!flush(poll, peers[fd])) drop_peer(peers[fd]);
        }
    }
}
