/* A Glance that throws bodies away in the kernel. Control calls are answered as a client needs them.
 *
 *   cc -O2 -pthread -o sink sink.c && ./sink PORT                            PORT 0: any; the port is printed
 *   cc -O2 -pthread -DTLS -o sink sink.c -lssl -lcrypto && ./sink PORT PEM   the same over TLS; PEM has certificate and key
 *
 * With SINK_IMAGE_MIB every image has so many MiB of data, and gives them.
 *
 * GET /bench tells what has come since the last GET /bench: the number of requests, and of the last PUT the bytes, the
 * seconds from the first of them to the last, and the longest time between two.
 */
#include "wire.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long long last_size = 0, requests = 0;
static double last_seconds = 0, last_gap = 0;

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

static long long image_bytes(void) {
  const char *mib = getenv("SINK_IMAGE_MIB");
  return mib == NULL ? 0 : atoll(mib) << 20;
}

/* The data of an image: the same piece of memory again and again. */
static int give_image(struct peer *p) {
  static char piece[1 << 20];
  char out[256];
  long long left = image_bytes();
  int n = snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %lld\r\n\r\n",
                   left);
  if (give(p, out, (size_t)n) != n) return 0;
  while (left > 0) {
    size_t most = left < (long long)sizeof piece ? (size_t)left : sizeof piece;
    ssize_t gave = give(p, piece, most);
    if (gave <= 0) return 0;
    left -= gave;
  }
  return 1;
}

static int serve(struct peer *p) {
  static _Thread_local struct request r;
  if (!read_head(p, &r)) return 0;
  const char *method = r.method, *path = r.path, *host = r.host;
  long long length = r.length;
  int close_it = r.last;

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
  if (r.chunked) {
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
    if (image_bytes() > 0) {
      if (strstr(path, "/file") != NULL) return give_image(p) && !close_it;
      size = image_bytes();
    }
    /* No digest: nobody has looked at the bytes. */
    snprintf(json, sizeof json,
             "{\"id\":\"%s\",\"status\":\"active\",\"size\":%lld,\"checksum\":null,\"os_hash_algo\":null,"
             "\"os_hash_value\":null,\"disk_format\":\"raw\",\"container_format\":\"bare\",\"name\":\"sink\"}", id, size);
    return answer(p, 200, "OK", json) && !close_it;
  }
  return answer(p, 404, "Not Found", "{}") && !close_it;
}
