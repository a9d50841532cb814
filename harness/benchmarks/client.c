/* A client that does no more than to send octets and to count what comes: the limit.
 *
 * One thread, epoll. Each session plays the same conversation, read from standard input:
 * a line for each step, the number of octets to wait for, a blank, and what is then sent
 * (behind the last number nothing is). Prints the seconds that all sessions took.
 *
 * client PORT SESSIONS WIDTH
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STEPS 4096
#define FDS 4096

struct step {
    size_t awaited, size;
    char *line;
};

static struct step steps[STEPS];
static int count;
static struct { int step; size_t left; } at[FDS];
static char buffer[1 << 18];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int begin(int poll, const struct sockaddr_in *there) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || fd >= FDS || connect(fd, (const struct sockaddr *)there, sizeof *there)) return 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    at[fd].step = 0;
    at[fd].left = steps[0].awaited;
    struct epoll_event event = {EPOLLIN, {.fd = fd}};
    return !epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

int main(int words, char **word) {
    char *line = NULL;
    size_t room = 0;
    ssize_t got;
    if (words != 4) return 2;
    while (count < STEPS && (got = getline(&line, &room, stdin)) > 0) {
        char *text;
        steps[count].awaited = strtoul(line, &text, 10);
        line[got - 1] = 0;
        if (asprintf(&steps[count].line, "%s\r\n", *text ? text + 1 : "") < 0) return 1;
        steps[count].size = *text ? strlen(steps[count].line) : 0;
        count++;
    }
    struct sockaddr_in there = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(word[1])),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int begun = 0, done = 0, all = atoi(word[2]), width = atoi(word[3]), poll = epoll_create1(0);
    struct epoll_event events[64];
    double start = now();
    for (; begun < width && begun < all; begun++)
        if (!begin(poll, &there)) return 1;
    while (done < all) {
        int ready = epoll_wait(poll, events, 64, -1);
        for (int n = 0; n < ready; n++) {
            int fd = events[n].data.fd;
            got = recv(fd, buffer, sizeof buffer, 0);
            if (got <= 0 || (size_t)got > at[fd].left) return 1;
            at[fd].left -= (size_t)got;
            if (at[fd].left) continue;
            const struct step *step = &steps[at[fd].step];
            if (++at[fd].step < count) {
                at[fd].left = steps[at[fd].step].awaited;
                if (send(fd, step->line, step->size, 0) != (ssize_t)step->size) return 1;
                continue;
            }
            close(fd);
            done++;
            if (begun < all && begun++ < all && !begin(poll, &there)) return 1;
        }
    }
    printf("%f\n", now() - start);
    return 0;
}
