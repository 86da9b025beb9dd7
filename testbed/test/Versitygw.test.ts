import { existsSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { startVersitygw } from "../testbed.ts"

describe.skipIf(process.env["HEADRACE_TESTBED_S3"] === undefined)("a versitygw", () => {
  it("answers as S3 does to whoever has no keys, and is gone with its data when it is stopped", async () => {
    const service = await startVersitygw()
    const { dataDirectory } = service
    try {
      assert.isTrue(existsSync(`${dataDirectory}/${service.bucket}`))
      const answer = await fetch(`${service.url}/${service.bucket}/nothing`)
      assert.strictEqual(answer.status, 403)
      assert.match(await answer.text(), /<Code>AccessDenied<\/Code>/)
    } finally {
      await service.stop()
    }
    assert.isFalse(existsSync(dataDirectory))
    await fetch(service.url).then(
      () => assert.fail("it still answers"),
      () => undefined
    )
  })

  it("is started twice at once", async () => {
    const two = await Promise.all([startVersitygw(), startVersitygw()])
    assert.notStrictEqual(two[0].url, two[1].url)
    await Promise.all(two.map((service) => service.stop()))
  })
})
