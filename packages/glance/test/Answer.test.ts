import { assert, describe, it } from "@effect/vitest"
import * as Answer from "../src/internal/answer.ts"
import * as Words from "@headrace/keystone/ServiceWords"

const glance = (title: string, text: string) =>
  `<html>\n <head>\n  <title>${title}</title>\n </head>\n <body>\n  <h1>${title}</h1>\n  ${text}<br /><br />\n\n\n\n </body>\n</html>`

describe("the words of an answer", () => {
  const table: ReadonlyArray<readonly [what: string, body: string, words: string]> = [
    [
      "Glance's page",
      glance("409 Conflict", "Image status transition from &#x27;active&#x27; to saving is not allowed"),
      "Image status transition from 'active' to saving is not allowed"
    ],
    ["Glance's JSON", '{"message": "No image found<br /><br />\\n\\n\\n", "code": "404 Not Found"}', "No image found"],
    [
      "Keystone's JSON",
      '{"error": {"code": 401, "message": "The request you have made requires authentication."}}',
      "The request you have made requires authentication."
    ],
    [
      "nginx's page",
      "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>",
      "nginx"
    ],
    [
      "HAProxy's page",
      "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n",
      "No server is available to handle this request."
    ],
    [
      "a page that is only a heading",
      "<html><body><h1>504 Gateway Time-out</h1></body></html>",
      "504 Gateway Time-out"
    ],
    [
      "a page with a script",
      "<html><head><style>p{}</style></head><body><script>alert(1)</script><p>Sorry</p></body></html>",
      "Sorry"
    ],
    ["text", "upstream\n\tconnect error", "upstream connect error"],
    ["control characters", "a\u001b[31mb\u0007c", "a [31mb c"],
    ["broken JSON", '{"message": ', '{"message":'],
    [
      "a schema error",
      "'foo' is not one of ['raw'] Failed validating 'enum' in schema['properties']",
      "'foo' is not one of ['raw']"
    ],
    ["nothing", " \n", ""]
  ]
  for (const [what, body, words] of table) {
    it(`of ${what}`, () => assert.strictEqual(Words.of(body, undefined), words))
  }

  it("are cut, and hold no token", () => {
    assert.strictEqual(Words.of("x".repeat(1000), undefined).length, 300)
    assert.strictEqual(Words.of("token gAAAA-secret is not valid", "gAAAA-secret"), "token *** is not valid")
  })
})

describe("Retry-After", () => {
  const now = Date.parse("2026-11-24T12:00:00Z")
  const table: ReadonlyArray<readonly [header: string | undefined, ms: number | undefined]> = [
    [undefined, undefined],
    ["120", 120_000],
    [" 0 ", 0],
    ["Tue, 24 Nov 2026 12:00:30 GMT", 30_000],
    ["Tue, 24 Nov 2026 11:00:00 GMT", 0],
    ["soon", undefined]
  ]
  for (const [header, ms] of table) {
    it(`${header} is ${ms} ms`, () => assert.strictEqual(Words.retryAfterMs(header, now), ms))
  }
})

const answer = (status: number, words = "", more?: Partial<Answer.Answer>): Answer.Answer => ({
  status,
  words,
  requestId: "req-1",
  retryAfterMs: undefined,
  ...more
})

describe("a refusal of the bytes", () => {
  const table: ReadonlyArray<
    readonly [status: number, words: string, sent: number, reason: string, retryable: boolean, clear: boolean]
  > = [
    [400, "Store for identifier nosuch not found", 0, "UnknownStore", false, true],
    [400, "Properties disk_format, container_format must be set prior to saving data.", 0, "Rejected", true, true],
    [400, "Size mismatch: expected 200000 bytes, got 100000 bytes", 1, "Rejected", true, true],
    [400, "Size exceeds: expected 50000 bytes, got 65536 bytes", 1, "Rejected", true, true],
    [400, "invalid literal for int() with base 16: b''", 1, "Rejected", true, true],
    [400, "Signature verification failed", 1, "Rejected", false, true],
    [401, "", 0, "Unauthorized", false, true],
    [401, "", 9, "Unauthorized", false, false],
    [403, "You are not authorized to complete upload_image action.", 0, "Forbidden", false, true],
    [404, "No image found with ID x", 0, "NotFound", false, true],
    [408, "", 9, "Unavailable", true, false],
    [409, "Image status transition from saving to saving is not allowed", 0, "Conflict", false, false],
    [410, "Image x could not be found after upload.", 9, "Gone", false, false],
    [410, "Error in store configuration. Adding images to store is disabled.", 0, "Rejected", false, true],
    [411, "", 0, "Rejected", false, true],
    [413, "The incoming image is too large: The provided image is too large.", 9, "TooLarge", false, true],
    [
      413,
      "Image storage media is full: There is not enough disk space on the image storage media.",
      9,
      "QuotaExceeded",
      false,
      true
    ],
    [
      413,
      "Image exceeds the storage quota: The size of the data 9 will exceed the limit. 1 bytes remaining.",
      0,
      "QuotaExceeded",
      false,
      true
    ],
    [
      413,
      "Project p is over a limit for [Resource image_size_total is over limit of 20 due to current usage 30 and delta 0]",
      0,
      "QuotaExceeded",
      false,
      true
    ],
    [
      413,
      "Project p is over a limit for [Resource image_count_uploading is over limit of 1 due to current usage 1 and delta 1]",
      0,
      "QuotaExceeded",
      true,
      true
    ],
    [415, "The request media type text/plain is not supported by this server.", 0, "Rejected", false, true],
    [
      415,
      "The request media type application/octet-stream is not supported by this server. Image disk_format qcow2 does not match stream data raw",
      9,
      "UnsupportedFormat",
      false,
      true
    ],
    [
      415,
      "The request media type application/octet-stream is not supported by this server. Image failed safety checks",
      9,
      "UnsupportedFormat",
      false,
      true
    ],
    [429, "", 0, "Unavailable", true, false],
    [500, "The server has either erred", 9, "Unavailable", true, false],
    [501, "", 0, "Rejected", false, true],
    [502, "", 9, "Unavailable", true, false],
    [503, "Insufficient permissions on image storage media", 0, "Unavailable", true, false],
    [504, "", 9, "Unavailable", true, false],
    [302, "", 0, "Rejected", false, true],
    [418, "", 0, "Rejected", false, true]
  ]
  for (const [status, words, sent, reason, retryable, clear] of table) {
    it(`${status} ${words === "" ? "without words" : words}`, () => {
      const fault = Answer.ofUpload(answer(status, words), sent, "nosuch")
      assert.deepStrictEqual(
        { reason: fault.reason, retryable: fault.retryable, clear: fault.clear, status: fault.status },
        { reason, retryable, clear, status } as never
      )
    })
  }

  it("of the format does not speak of media types", () => {
    const words =
      "The request media type application/octet-stream is not supported by this server. Image failed safety checks"
    assert.strictEqual(
      Answer.ofUpload(answer(415, words), 1, undefined).message,
      "Glance does not accept the image's format: Image failed safety checks"
    )
  })

  it("without a request id is a proxy's, and says so", () => {
    const proxy = { requestId: undefined }
    assert.include(
      Answer.ofUpload(answer(502, "nginx", proxy), 1, undefined).message,
      "a proxy before Glance answered 502 Bad Gateway: nginx"
    )
    assert.include(Answer.ofUpload(answer(413, "", proxy), 1, undefined).message, "a proxy before Glance")
    assert.include(
      Answer.ofUpload(answer(500, "erred"), 1, undefined).message,
      "Glance answered 500 Internal Server Error: erred (request req-1)"
    )
  })

  it("carries the request id and the time to wait", () => {
    const fault = Answer.ofUpload(answer(503, "", { retryAfterMs: 7000 }), 1, undefined)
    assert.strictEqual(fault.requestId, "req-1")
    assert.strictEqual(fault.retryAfterMs, 7000)
  })
})
