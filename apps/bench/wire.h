/* What the sinks share: connections whose bodies are thrown away in the kernel, with recv(MSG_TRUNC), which never copies
 * them to user space; so a sink costs next to nothing, and what is measured is the client. With -DTLS over TLS.
 *
 * Whoever includes it has `serve`, which answers one request and says whether the connection goes on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef TLS
#include <openssl/ssl.h>
static SSL_CTX *context;
#endif

#define HEAD_MAX 65536

struct peer {
  int fd;
#ifdef TLS
  SSL *ssl;
  char scratch[65536];
#endif
  char buf[HEAD_MAX + 1];
  size_t have;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static ssize_t take(struct peer *p, void *to, size_t n) {
#ifdef TLS
  return SSL_read(p->ssl, to, (int)n);
#else
  return recv(p->fd, to, n, 0);
#endif
}

static ssize_t throw_away(struct peer *p, size_t n) {
#ifdef TLS
  return SSL_read(p->ssl, p->scratch, (int)(n > sizeof p->scratch ? sizeof p->scratch : n));
#else
  return recv(p->fd, NULL, n, MSG_TRUNC);
#endif
}

static ssize_t give(struct peer *p, const void *from, size_t n) {
#ifdef TLS
  return SSL_write(p->ssl, from, (int)n);
#else
  return send(p->fd, from, n, MSG_NOSIGNAL);
#endif
}

static int fill(struct peer *p) {
  ssize_t n = take(p, p->buf + p->have, HEAD_MAX - p->have);
  if (n <= 0) return 0;
  p->have += (size_t)n;
  p->buf[p->have] = 0;
  return 1;
}

static void eat(struct peer *p, size_t n) {
  memmove(p->buf, p->buf + n, p->have - n);
  p->have -= n;
  p->buf[p->have] = 0;
}

/* When the bytes of a body came. */
struct watch {
  double first, last, gap;
};

static void saw(struct watch *w) {
  double t = now();
  if (w->first == 0) w->first = t;
  else if (t - w->last > w->gap) w->gap = t - w->last;
  w->last = t;
}

/* MiB a second that a connection takes, from the environment's SINK_MIB_S; 0: all that comes. */
static double pace = 0;

/* Waits until `bytes` may have been taken since `start`. */
static void keep_pace(double start, long long bytes) {
  double due = start + (double)bytes / (pace * 1048576.0) - now();
  if (pace > 0 && due > 0) usleep((useconds_t)(due * 1e6));
}

/* Takes `left` bytes of body off the connection. */
static int discard(struct peer *p, long long left, struct watch *w) {
  double start = now();
  long long taken = 0;
  size_t here = (long long)p->have < left ? p->have : (size_t)left;
  eat(p, here);
  left -= (long long)here;
  if (here > 0) saw(w);
  while (left > 0) {
    size_t most = pace > 0 ? 65536 : 1 << 20;
    ssize_t n = throw_away(p, left > (long long)most ? most : (size_t)left);
    if (n <= 0) return 0;
    left -= n;
    saw(w);
    if (pace > 0) keep_pace(start, taken += n);
  }
  return 1;
}

static int discard_chunked(struct peer *p, long long *total, struct watch *w) {
  for (;;) {
    char *end;
    while ((end = strstr(p->buf, "\r\n")) == NULL)
      if (!fill(p)) return 0;
    long long n = strtoll(p->buf, NULL, 16);
    eat(p, (size_t)(end - p->buf) + 2);
    *total += n;
    if (n > 0 && !discard(p, n, w)) return 0;
    while (p->have < 2)
      if (!fill(p)) return 0;
    eat(p, 2);
    if (n == 0) return 1;
  }
}

static const char *field(const char *head, const char *name) {
  size_t len = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
    if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':') {
      const char *v = line + 3 + len;
      while (*v == ' ') v++;
      return v;
    }
  }
  return NULL;
}

/* One request's head, taken off the connection. */
struct request {
  char method[16], path[2048], host[256], head[HEAD_MAX + 1];
  long long length;
  int chunked, last;
};

static int read_head(struct peer *p, struct request *r) {
  char *end;
  while ((end = strstr(p->buf, "\r\n\r\n")) == NULL) {
    if (p->have >= HEAD_MAX || !fill(p)) return 0;
  }
  size_t n = (size_t)(end - p->buf) + 4;
  *end = 0;
  memcpy(r->head, p->buf, n - 3);
  *r->method = *r->path = *r->host = 0;
  sscanf(r->head, "%15s %2047s", r->method, r->path);
  const char *v = field(r->head, "content-length");
  r->length = v ? atoll(v) : 0;
  v = field(r->head, "transfer-encoding");
  r->chunked = v && strncasecmp(v, "chunked", 7) == 0;
  v = field(r->head, "connection");
  r->last = v && strncasecmp(v, "close", 5) == 0;
  v = field(r->head, "host");
  if (v) sscanf(v, "%255[^\r]", r->host);
  eat(p, n);
  return field(r->head, "expect") == NULL || give(p, "HTTP/1.1 100 Continue\r\n\r\n", 25) == 25;
}

static int serve(struct peer *p);

static void *peer_main(void *arg) {
  struct peer *p = arg;
#ifdef TLS
  p->ssl = SSL_new(context);
  SSL_set_fd(p->ssl, p->fd);
  if (SSL_accept(p->ssl) == 1)
#endif
    while (serve(p)) {}
#ifdef TLS
  SSL_free(p->ssl);
#endif
  close(p->fd);
  free(p);
  return NULL;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (getenv("SINK_MIB_S")) pace = atof(getenv("SINK_MIB_S"));
#ifdef TLS
  context = SSL_CTX_new(TLS_server_method());
  if (argc < 3 || SSL_CTX_use_certificate_chain_file(context, argv[2]) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1) {
    fprintf(stderr, "sink: no certificate and key in the second argument\n");
    return 1;
  }
#endif
  int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)(argc > 1 ? atoi(argv[1]) : 0))};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(s, (struct sockaddr *)&a, sizeof a) != 0 || listen(s, 128) != 0) {
    perror("sink");
    return 1;
  }
  socklen_t len = sizeof a;
  getsockname(s, (struct sockaddr *)&a, &len);
  printf("%d\n", ntohs(a.sin_port));
  fflush(stdout);
  for (;;) {
    int fd = accept(s, NULL, NULL);
    if (fd < 0) continue;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct peer *p = calloc(1, sizeof *p);
    p->fd = fd;
    pthread_t t;
    pthread_create(&t, NULL, peer_main, p);
    pthread_detach(t);
  }
}
