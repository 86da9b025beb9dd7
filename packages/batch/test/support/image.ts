/** An image as its cloud describes it. */
import type { Description } from "@headrace/glance/GlanceImages"

export const image = (more: Partial<Description> = {}): Description => ({
  id: "11111111-2222-4333-8444-555555555555",
  name: "disk",
  status: "active",
  size: 1000,
  visibility: "private",
  protected: false,
  hidden: false,
  owner: null,
  minDisk: 0,
  minRam: 0,
  diskFormat: "raw",
  containerFormat: "bare",
  tags: [],
  digests: { md5: "0".repeat(32), sha512: "1".repeat(128) },
  stores: [],
  createdAt: "2025-03-01T12:30:00Z",
  updatedAt: "2025-03-02T00:00:00Z",
  properties: {},
  ...more
})
