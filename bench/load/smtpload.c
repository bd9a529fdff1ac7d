/* smtpload: an SMTP load client on epoll, lock-step, that costs next to no CPU.
 *
 *   smtpload HOST PORT TOTAL SESSIONS PER_SESSION OCTETS RECIPIENTS DOMAIN
 *
 * Keeps SESSIONS connections open until TOTAL messages of about OCTETS octets were sent, PER_SESSION over each
 * connection; recipients go round u0 .. u(RECIPIENTS-1) @DOMAIN. Every 50th line of a body begins with a dot. Prints one
 * line of JSON. A refused message counts as failed and ends its session.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum state { BANNER, EHLO, MAIL, RCPT, DATA, BODY, QUIT };

struct session {
    int fd;
    enum state state;
    int sent;               /* messages begun in this session */
    long number;            /* of the message under way */
    double began;
    char in[4096];
    size_t in_length;
    char *out;
    size_t out_length, out_done, out_room;
    int blocked;            /* waiting until the socket takes more */
};

static struct sockaddr_in server;
static int poller, per_session, recipients;
static long total, started, finished, failures, connections;
static const char *domain;
static char *body;
static size_t body_length;
static double *latency;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec * 1e-9;
}

static void die(const char *what) {
    perror(what);
    exit(2);
}

static void watch(struct session *s, int operation, int writing) {
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = s};
    epoll_ctl(poller, operation, s->fd, &event);
}

static void flush(struct session *s) {
    while (s->out_done < s->out_length) {
        ssize_t n = write(s->fd, s->out + s->out_done, s->out_length - s->out_done);
        if (n < 0) {
            if (errno == EAGAIN && !s->blocked) watch(s, EPOLL_CTL_MOD, s->blocked = 1);
            return;
        }
        s->out_done += n;
    }
    s->out_done = s->out_length = 0;
    if (s->blocked) watch(s, EPOLL_CTL_MOD, s->blocked = 0);
}

static void put(struct session *s, const char *octets, size_t n) {
    if (s->out_length + n > s->out_room) {
        s->out_room = (s->out_length + n) * 2;
        s->out = realloc(s->out, s->out_room);
        if (!s->out) die("memory");
    }
    memcpy(s->out + s->out_length, octets, n);
    s->out_length += n;
}

static void say(struct session *s, const char *line, enum state next) {
    put(s, line, strlen(line));
    s->state = next;
}

static void dial(struct session *s) {
    int one = 1;
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (s->fd < 0) die("socket");
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(s->fd, (void *)&server, sizeof server)) die("connect");
    fcntl(s->fd, F_SETFL, O_NONBLOCK);
    s->state = BANNER;
    s->in_length = s->out_length = s->out_done = 0;
    s->sent = s->blocked = 0;
    connections++;
    watch(s, EPOLL_CTL_ADD, 0);
}

static void hang_up(struct session *s) {
    close(s->fd);
    s->fd = -1;
    if (started < total) dial(s);
}

static void next_message(struct session *s) {
    char line[128];
    if (s->sent >= per_session || started >= total) {
        say(s, "QUIT\r\n", QUIT);
        return;
    }
    s->number = started++;
    s->sent++;
    s->began = now();
    snprintf(line, sizeof line, "MAIL FROM:<s%ld@src.example>\r\n", s->number % 100);
    say(s, line, MAIL);
}

static void name_recipient(struct session *s) {
    char line[400];
    snprintf(line, sizeof line, "RCPT TO:<u%ld@%s>\r\n", s->number % recipients, domain);
    say(s, line, RCPT);
}

static void send_body(struct session *s) {
    char header[1024];
    long who = s->number % 100;
    int n = snprintf(header, sizeof header,
                     "Message-ID: <%ld.%d@src.example>\r\nFrom: Sender %ld <s%ld@src.example>\r\n"
                     "To: <u%ld@%s>\r\nSubject: load test message number %ld\r\n",
                     s->number, (int)getpid(), who, who, s->number % recipients, domain, s->number);
    put(s, header, n);
    put(s, body, body_length);
    s->state = BODY;
}

static void refused(struct session *s, const char *line) {
    if (failures++ < 5) fprintf(stderr, "reply in state %d: %s\n", s->state, line);
    if (failures > 1000) exit(3);
    if (s->state > EHLO) finished++;
    say(s, "QUIT\r\n", QUIT);
}

static void heard(struct session *s, const char *line) {
    if (strlen(line) > 3 && line[3] == '-') return;
    if (atoi(line) >= 400 && s->state != QUIT) {
        refused(s, line);
        return;
    }
    switch (s->state) {
    case BANNER: say(s, "EHLO load.example\r\n", EHLO); break;
    case EHLO: next_message(s); break;
    case MAIL: name_recipient(s); break;
    case RCPT: say(s, "DATA\r\n", DATA); break;
    case DATA: send_body(s); break;
    case BODY:
        latency[finished++] = now() - s->began;
        next_message(s);
        break;
    case QUIT: hang_up(s); break;
    }
}

static void lost(struct session *s) {
    if (s->state != QUIT) {
        if (failures++ < 5) fprintf(stderr, "connection lost in state %d\n", s->state);
        if (failures > 1000) exit(3);
        if (s->state > EHLO) finished++;
    }
    hang_up(s);
}

static void readable(struct session *s) {
    ssize_t n = read(s->fd, s->in + s->in_length, sizeof s->in - 1 - s->in_length);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        lost(s);
        return;
    }
    s->in_length += n;
    s->in[s->in_length] = 0;
    char *line = s->in, *end;
    long connection = connections;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        heard(s, line);
        if (s->fd < 0 || connections != connection) return;
        line = end + 1;
    }
    s->in_length = s->in + s->in_length - line;
    memmove(s->in, line, s->in_length);
    if (s->out_length) flush(s);
}

static void make_body(size_t octets) {
    static const char head[] = "Date: Mon, 01 Jun 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
                               "Content-Type: text/plain; charset=utf-8\r\nX-Mailer: smtpload 1.0\r\n\r\n";
    char *at = body = malloc(octets + sizeof head + 256);
    if (!body) die("memory");
    at += sprintf(at, "%s", head);
    for (unsigned line = 0; (size_t)(at - body) + 220 < octets; line++)
        at += sprintf(at, "%s%06u The quick brown fox jumps over the lazy dog and keeps on running\r\n",
                      line % 50 == 49 ? ".." : "", line);
    at += sprintf(at, ".\r\n");
    body_length = at - body;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void work(struct session *sessions, int count) {
    struct epoll_event events[256];
    double moved = now();
    long before = 0;
    for (int i = 0; i < count && i < total; i++) dial(&sessions[i]);
    while (finished < total) {
        int n = epoll_wait(poller, events, 256, 1000);
        for (int i = 0; i < n; i++) {
            struct session *s = events[i].data.ptr;
            if (s->fd >= 0 && events[i].events & EPOLLOUT) flush(s);
            if (s->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(s);
        }
        if (finished != before) {
            before = finished;
            moved = now();
        } else if (now() - moved > 60) {
            fprintf(stderr, "stalled at %ld\n", finished);
            break;
        }
    }
}

int main(int count, char **words) {
    if (count != 9) {
        fprintf(stderr, "usage: smtpload HOST PORT TOTAL SESSIONS PER_SESSION OCTETS RECIPIENTS DOMAIN\n");
        return 64;
    }
    server.sin_family = AF_INET;
    inet_pton(AF_INET, words[1], &server.sin_addr);
    server.sin_port = htons(atoi(words[2]));
    total = atol(words[3]);
    int sessions = atoi(words[4]);
    per_session = atoi(words[5]);
    make_body(atol(words[6]));
    recipients = atoi(words[7]);
    domain = words[8];
    latency = calloc(total + 1, sizeof *latency);
    poller = epoll_create1(0);

    double began = now();
    work(calloc(sessions, sizeof(struct session)), sessions);
    double seconds = now() - began;

    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
    qsort(latency, finished, sizeof *latency, ascending);
    printf("{\"sent\":%ld,\"failed\":%ld,\"seconds\":%.3f,\"client_cpu\":%.3f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,"
           "\"connections\":%ld}\n",
           finished, failures, seconds, cpu, latency[finished / 2] * 1e3, latency[(long)(finished * .99)] * 1e3, connections);
    return 0;
}
