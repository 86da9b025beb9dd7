/* A Glance that throws bodies away in the kernel: recv(MSG_TRUNC) never copies them to user space, so the sink costs
 * next to nothing and what is measured is the client. Control calls are answered as a client needs them.
 *
 *   cc -O2 -pthread -o sink sink.c && ./sink PORT                            PORT 0: any; the port is printed
 *   cc -O2 -pthread -DTLS -o sink sink.c -lssl -lcrypto && ./sink PORT PEM   the same over TLS; PEM has certificate and key
 *
 * GET /bench tells what has come since the last GET /bench: the number of requests, and of the last PUT the bytes, the
 * seconds from the first of them to the last, and the longest time between two.
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

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long long last_size = 0, requests = 0;
static double last_seconds = 0, last_gap = 0;

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

/* Takes `left` bytes of body off the connection. */
static int discard(struct peer *p, long long left, struct watch *w) {
  size_t here = (long long)p->have < left ? p->have : (size_t)left;
  eat(p, here);
  left -= (long long)here;
  if (here > 0) saw(w);
  while (left > 0) {
    ssize_t n = throw_away(p, left > (1 << 20) ? (1 << 20) : (size_t)left);
    if (n <= 0) return 0;
    left -= n;
    saw(w);
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

static int answer(struct peer *p, int status, const char *reason, const char *body) {
  char out[4096];
  int n = status == 204
              ? snprintf(out, sizeof out, "HTTP/1.1 204 No Content\r\nX-Openstack-Request-Id: req-sink\r\n\r\n")
              : snprintf(out, sizeof out,
                         "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                         "X-Openstack-Request-Id: req-sink\r\n\r\n%s",
                         status, reason, strlen(body), body);
  return give(p, out, (size_t)n) == n;
}

static int serve(struct peer *p) {
  char *end;
  while ((end = strstr(p->buf, "\r\n\r\n")) == NULL) {
    if (p->have >= HEAD_MAX || !fill(p)) return 0;
  }
  size_t head = (size_t)(end - p->buf) + 4;
  *end = 0;
  char method[16] = "", path[1024] = "";
  sscanf(p->buf, "%15s %1023s", method, path);
  const char *v = field(p->buf, "content-length");
  long long length = v ? atoll(v) : 0;
  v = field(p->buf, "transfer-encoding");
  int chunked = v && strncasecmp(v, "chunked", 7) == 0;
  int expect = field(p->buf, "expect") != NULL;
  int close_it = 0;
  v = field(p->buf, "connection");
  if (v && strncasecmp(v, "close", 5) == 0) close_it = 1;
  char host[256] = "";
  v = field(p->buf, "host");
  if (v) sscanf(v, "%255[^\r]", host);
  eat(p, head);
  if (expect && give(p, "HTTP/1.1 100 Continue\r\n\r\n", 25) != 25) return 0;

  char json[2048];
  if (strcmp(path, "/bench") == 0) {
    pthread_mutex_lock(&lock);
    snprintf(json, sizeof json, "{\"requests\":%lld,\"bytes\":%lld,\"seconds\":%.6f,\"gap\":%.6f}", requests, last_size,
             last_seconds, last_gap);
    requests = 0;
    pthread_mutex_unlock(&lock);
    return answer(p, 200, "OK", json) && !close_it;
  }
  pthread_mutex_lock(&lock);
  requests++;
  pthread_mutex_unlock(&lock);
  char id[64] = "7d1f6d3a-6f0e-4f4f-9d9d-000000000001";
  if (strcmp(method, "POST") == 0) {
    char body[HEAD_MAX];
    size_t n = length < (long long)sizeof body ? (size_t)length : sizeof body - 1;
    while (p->have < n)
      if (!fill(p)) return 0;
    memcpy(body, p->buf, n);
    body[n] = 0;
    eat(p, n);
    const char *given = strstr(body, "\"id\"");
    if (given && (given = strchr(given + 4, '"')) != NULL) snprintf(id, sizeof id, "%.36s", given + 1);
    snprintf(json, sizeof json,
             "{\"id\":\"%s\",\"status\":\"queued\",\"disk_format\":\"raw\",\"container_format\":\"bare\",\"name\":\"sink\"}", id);
    return answer(p, 201, "Created", json) && !close_it;
  }
  long long got = length;
  struct watch watch = {0};
  if (chunked) {
    got = 0;
    if (!discard_chunked(p, &got, &watch)) return 0;
  } else if (length > 0 && !discard(p, length, &watch)) {
    return 0;
  }
  if (strcmp(method, "PUT") == 0) {
    pthread_mutex_lock(&lock);
    last_size = got;
    last_seconds = watch.last - watch.first;
    last_gap = watch.gap;
    pthread_mutex_unlock(&lock);
    return answer(p, 204, "", "") && !close_it;
  }
  if (strcmp(method, "DELETE") == 0) return answer(p, 204, "", "") && !close_it;
  if (strcmp(path, "/versions") == 0 || strcmp(path, "/") == 0 || strcmp(path, "/v2") == 0 || strcmp(path, "/v2/") == 0) {
    snprintf(json, sizeof json,
             "{\"versions\":[{\"id\":\"v2.15\",\"status\":\"CURRENT\",\"links\":[{\"rel\":\"self\",\"href\":\"http://%s/v2/\"}]},"
             "{\"id\":\"v2.9\",\"status\":\"SUPPORTED\",\"links\":[{\"rel\":\"self\",\"href\":\"http://%s/v2/\"}]}]}", host, host);
    return answer(p, 200, "OK", json) && !close_it;
  }
  if (strncmp(path, "/v2/images?", 11) == 0 || strcmp(path, "/v2/images") == 0) {
    /* An active image tells clients which digest this service computes. */
    return answer(p, 200, "OK",
                  "{\"images\":[{\"id\":\"7d1f6d3a-6f0e-4f4f-9d9d-000000000000\",\"status\":\"active\",\"size\":1,"
                  "\"checksum\":null,\"os_hash_algo\":\"sha512\",\"os_hash_value\":\"00\"}]}") && !close_it;
  }
  if (strncmp(path, "/v2/images/", 11) == 0) {
    snprintf(id, sizeof id, "%.36s", path + 11);
    pthread_mutex_lock(&lock);
    long long size = last_size;
    pthread_mutex_unlock(&lock);
    /* No digest: nobody has looked at the bytes. */
    snprintf(json, sizeof json,
             "{\"id\":\"%s\",\"status\":\"active\",\"size\":%lld,\"checksum\":null,\"os_hash_algo\":null,"
             "\"os_hash_value\":null,\"disk_format\":\"raw\",\"container_format\":\"bare\",\"name\":\"sink\"}", id, size);
    return answer(p, 200, "OK", json) && !close_it;
  }
  return answer(p, 404, "Not Found", "{}") && !close_it;
}

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
