/* An S3 that throws bodies away in the kernel: objects and multipart uploads, of which it remembers the size and the
 * CRC64NVME that the client has told. It checks nothing, no signature either.
 *
 *   cc -O2 -pthread -o s3sink s3sink.c && ./s3sink PORT     PORT 0: any; the port is printed
 *
 * GET /bench tells what has come since the last GET /bench: the number of requests, and the bytes of all bodies.
 */
#include "wire.h"

#define SLOTS 65536

struct object {
  char path[512];
  long long size;
  char crc[32];
  unsigned tag;
  int there;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct object objects[SLOTS];
static long long uploads[SLOTS], requests = 0, bytes = 0;
static unsigned last_upload = 0, last_tag = 0;

/* The object of that path, there or not. Under the lock. */
static struct object *at(const char *path) {
  unsigned hash = 2166136261u;
  for (const char *c = path; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
  for (unsigned i = 0; i < SLOTS; i++) {
    struct object *o = &objects[(hash + i) % SLOTS];
    if (*o->path == 0) snprintf(o->path, sizeof o->path, "%s", path);
    if (strcmp(o->path, path) == 0) return o;
  }
  fprintf(stderr, "s3sink: too many objects\n");
  exit(1);
}

/* A `fields` that says Content-Length is of a HEAD, which has no body. */
static int answer(struct peer *p, const char *status, const char *fields, const char *body) {
  char out[4096], length[64] = "";
  if (!strstr(fields, "Content-Length")) snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body));
  int n = snprintf(out, sizeof out, "HTTP/1.1 %s\r\nx-amz-request-id: sink\r\n%s%s\r\n%s", status, fields, length, body);
  return give(p, out, (size_t)n) == n;
}

static int discard_body(struct peer *p, struct request *r, long long *got) {
  struct watch watch = {0};
  *got = r->length;
  if (r->chunked) {
    *got = 0;
    return discard_chunked(p, got, &watch);
  }
  return r->length == 0 || discard(p, r->length, &watch);
}

static void crc_of(const char *head, char *crc, size_t room) {
  const char *v = field(head, "x-amz-checksum-crc64nvme");
  *crc = 0;
  if (v && strcspn(v, "\r") < room) snprintf(crc, room, "%.*s", (int)strcspn(v, "\r"), v);
}

static int serve(struct peer *p) {
  static _Thread_local struct request r;
  if (!read_head(p, &r)) return 0;
  long long got;
  if (!discard_body(p, &r, &got)) return 0;
  const char *v = field(r.head, "x-amz-decoded-content-length");
  long long size = v ? atoll(v) : got;
  char *query = strchr(r.path, '?');
  if (query) *query++ = 0;
  else query = "";
  const char *id = strstr(query, "uploadId=");
  unsigned upload = id ? (unsigned)atoi(id + 9) % SLOTS : 0;
  char fields[512], body[1024], crc[32];
  crc_of(r.head, crc, sizeof crc);
  int put = strcmp(r.method, "PUT") == 0, post = strcmp(r.method, "POST") == 0;

  if (strcmp(r.path, "/bench") == 0) {
    pthread_mutex_lock(&lock);
    snprintf(body, sizeof body, "{\"requests\":%lld,\"bytes\":%lld,\"seconds\":0,\"gap\":0}", requests, bytes);
    requests = bytes = 0;
    pthread_mutex_unlock(&lock);
    return answer(p, "200 OK", "Content-Type: application/json\r\n", body) && !r.last;
  }
  pthread_mutex_lock(&lock);
  requests++;
  if (put) bytes += got;
  struct object *o = at(r.path);
  int there = o->there;
  if (post && id) {
    *o = (struct object){.size = uploads[upload], .tag = ++last_tag, .there = 1};
    snprintf(o->path, sizeof o->path, "%s", r.path);
    snprintf(o->crc, sizeof o->crc, "%s", crc);
  } else if (post && strncmp(query, "uploads", 7) == 0) {
    upload = ++last_upload % SLOTS;
    uploads[upload] = 0;
  } else if (put && id) {
    uploads[upload] += size;
  } else if (put) {
    o->size = size;
    o->tag = ++last_tag;
    o->there = 1;
    snprintf(o->crc, sizeof o->crc, "%s", crc);
  } else if (strcmp(r.method, "DELETE") == 0 && !id) {
    o->there = 0;
  }
  struct object now = *o;
  pthread_mutex_unlock(&lock);

  const char *xml = "Content-Type: application/xml\r\n";
  if (put) {
    snprintf(fields, sizeof fields, "ETag: \"%032x\"\r\n%s%s%s", id ? 1u : now.tag, *crc ? "x-amz-checksum-crc64nvme: " : "",
             crc, *crc ? "\r\n" : "");
    return answer(p, "200 OK", fields, "") && !r.last;
  }
  if (post && id) {
    snprintf(body, sizeof body,
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?><CompleteMultipartUploadResult><ETag>\"%032x\"</ETag>%s%s%s"
             "</CompleteMultipartUploadResult>",
             now.tag, *crc ? "<ChecksumType>FULL_OBJECT</ChecksumType><ChecksumCRC64NVME>" : "", crc,
             *crc ? "</ChecksumCRC64NVME>" : "");
    return answer(p, "200 OK", xml, body) && !r.last;
  }
  if (post) {
    snprintf(body, sizeof body,
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?><InitiateMultipartUploadResult><UploadId>%u</UploadId>"
             "</InitiateMultipartUploadResult>",
             upload);
    return answer(p, "200 OK", xml, body) && !r.last;
  }
  if (strcmp(r.method, "DELETE") == 0) return answer(p, "204 No Content", "", "") && !r.last;
  if (strcmp(r.method, "HEAD") == 0 && strchr(r.path + 1, '/') != NULL) {
    if (!there) return answer(p, "404 Not Found", "", "") && !r.last;
    snprintf(fields, sizeof fields, "Content-Length: %lld\r\nETag: \"%032x\"\r\nAccept-Ranges: bytes\r\n%s%s%s", now.size,
             now.tag, *now.crc ? "x-amz-checksum-type: FULL_OBJECT\r\nx-amz-checksum-crc64nvme: " : "", now.crc,
             *now.crc ? "\r\n" : "");
    return answer(p, "200 OK", fields, "") && !r.last;
  }
  return answer(p, "200 OK", xml,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>") &&
         !r.last;
}
