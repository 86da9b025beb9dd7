import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as CloudConfig from "@headrace/keystone/CloudConfig"
import * as MemoryHost from "./support/MemoryHost.ts"

const load = (machine: MemoryHost.Machine, name?: string) =>
  Effect.provide(CloudConfig.load(name), MemoryHost.layer(machine))

/** The cloud, with its secrets in plain text for comparing. */
const shown = (machine: MemoryHost.Machine, name?: string) =>
  Effect.map(load(machine, name), ({ auth, ...cloud }) => ({
    ...cloud,
    auth: Object.fromEntries(
      Object.entries(auth).map(([key, value]) => [key, Redacted.isRedacted(value) ? Redacted.value(value) : value])
    )
  }))

const message = (machine: MemoryHost.Machine, name?: string) =>
  Effect.map(Effect.flip(load(machine, name)), (error) => {
    assert.include(["InvalidConfig", "Unsupported"], error.reason._tag)
    assert.isFalse(error.retryable)
    assert.notInclude(error.message, "\n")
    return error.message
  })

const plain = `
clouds:
  prod:
    auth:
      auth_url: https://k.example:5000
      username: demo
      password: s3cret
      project_name: p
    region_name: R1
`

const cloud = (lines: string) =>
  `clouds:\n  prod:\n${lines
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n")}\n`

describe("which file", () => {
  it.effect("the current folder goes before the user's, the user's before the site's", () =>
    Effect.gen(function* () {
      const files = Object.fromEntries(
        ["/work", "/home/u/.config/openstack", "/etc/xdg/openstack", "/etc/openstack"].map((folder) => [
          `${folder}/clouds.yaml`,
          plain.replace("demo", folder)
        ])
      )
      for (const folder of ["/work", "/home/u/.config/openstack", "/etc/xdg/openstack", "/etc/openstack"]) {
        const found = yield* shown({ files }, "prod")
        assert.strictEqual(found.auth["username"], folder)
        assert.strictEqual(found.file, `${folder}/clouds.yaml`)
        delete files[`${folder}/clouds.yaml`]
      }
    })
  )

  it.effect("XDG_CONFIG_HOME goes before ~/.config, .yaml before .yml before .json", () =>
    Effect.gen(function* () {
      const env = { XDG_CONFIG_HOME: "/xdg" }
      const files: Record<string, string> = {
        "/xdg/openstack/clouds.yaml": plain.replace("demo", "1"),
        "/xdg/openstack/clouds.yml": plain.replace("demo", "2"),
        "/xdg/openstack/clouds.json": '{"clouds": {"prod": {"auth": {"username": "3"}}}}',
        "/home/u/.config/openstack/clouds.yaml": plain.replace("demo", "4")
      }
      for (const [path, expected] of [
        ["/xdg/openstack/clouds.yaml", "1"],
        ["/xdg/openstack/clouds.yml", "2"],
        ["/xdg/openstack/clouds.json", "3"],
        ["/home/u/.config/openstack/clouds.yaml", "4"]
      ] as const) {
        assert.strictEqual((yield* shown({ files, env }, "prod")).auth["username"], expected)
        delete files[path]
      }
    })
  )

  it.effect("a relative path in an XDG variable counts as none", () =>
    Effect.gen(function* () {
      const files: Record<string, string> = {
        "/work/x/openstack/clouds.yaml": plain.replace("demo", "relative"),
        "/home/u/.config/openstack/clouds.yaml": plain.replace("demo", "home"),
        "/d/openstack/clouds.yaml": plain.replace("demo", "site"),
        "/etc/xdg/openstack/clouds.yaml": plain.replace("demo", "xdg"),
        "/etc/openstack/clouds.yaml": plain.replace("demo", "etc")
      }
      const user = (env: Readonly<Record<string, string>>) =>
        Effect.map(shown({ files, env }, "prod"), (found) => found.auth["username"])
      assert.strictEqual(yield* user({ XDG_CONFIG_HOME: "x" }), "home")
      delete files["/home/u/.config/openstack/clouds.yaml"]
      assert.strictEqual(yield* user({ XDG_CONFIG_DIRS: "x" }), "xdg")
      assert.strictEqual(yield* user({ XDG_CONFIG_DIRS: "x:/d" }), "site")
      assert.strictEqual(yield* user({ XDG_CONFIG_DIRS: "/none" }), "etc")
    })
  )

  it.effect("OS_CLIENT_CONFIG_FILE goes before all, and may begin with ~", () =>
    Effect.gen(function* () {
      const files = { "/work/clouds.yaml": plain, "/home/u/mine.yaml": plain.replace("demo", "mine") }
      const found = yield* shown({ files, env: { OS_CLIENT_CONFIG_FILE: "~/mine.yaml" } }, "prod")
      assert.strictEqual(found.auth["username"], "mine")
      const missing = yield* shown({ files, env: { OS_CLIENT_CONFIG_FILE: "/nowhere.yaml" } }, "prod")
      assert.strictEqual(missing.auth["username"], "demo")
    })
  )

  it.effect("a file that may not be read is passed over", () =>
    Effect.gen(function* () {
      const files = { "/home/u/.config/openstack/clouds.yaml": plain }
      const found = yield* shown({ files, locked: ["/work/clouds.yaml"] }, "prod")
      assert.strictEqual(found.file, "/home/u/.config/openstack/clouds.yaml")
    })
  )
})

describe("secure.yaml", () => {
  const open = plain.replace("      password: s3cret\n", "")
  const secret = cloud("auth:\n  password: from-secure\nregion_name: R9")

  it.effect("is merged over the cloud, key by key", () =>
    Effect.gen(function* () {
      const files = { "/work/clouds.yaml": open, "/etc/openstack/secure.yaml": secret }
      const found = yield* shown({ files }, "prod")
      assert.deepStrictEqual(found.auth, {
        authUrl: "https://k.example:5000",
        username: "demo",
        password: "from-secure",
        projectName: "p"
      })
      assert.strictEqual(found.region, "R9")
    })
  )

  it.effect("is found by OS_CLIENT_SECURE_FILE, in the folders, and beside the clouds file", () =>
    Effect.gen(function* () {
      const files: Record<string, string> = {
        "/x/mine.yaml": open,
        "/y/s.json": '{"clouds": {"prod": {"auth": {"password": "1"}}}}',
        "/work/secure.yml": secret.replace("from-secure", "2"),
        "/x/secure.yaml": secret.replace("from-secure", "3")
      }
      const env = { OS_CLIENT_CONFIG_FILE: "/x/mine.yaml", OS_CLIENT_SECURE_FILE: "/y/s.json" }
      for (const [path, expected] of [
        ["/y/s.json", "1"],
        ["/work/secure.yml", "2"],
        ["/x/secure.yaml", "3"]
      ] as const) {
        assert.strictEqual((yield* shown({ files, env }, "prod")).auth["password"], expected)
        delete files[path]
      }
    })
  )

  it.effect("may stand alone, and an empty `clouds:` wipes nothing", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* shown({ files: { "/work/secure.yaml": plain } }, "prod")).auth["username"], "demo")
      const files = { "/work/clouds.yaml": plain, "/work/secure.yaml": "clouds:\n" }
      assert.strictEqual((yield* shown({ files }, "prod")).auth["username"], "demo")
    })
  )
})

describe("profiles", () => {
  const vendors = `
public-clouds:
  vendor:
    auth: {auth_url: "https://{region_name}.vendor.example/v3", user_domain_name: V}
    regions: [RA, RB]
    interface: internal
    image_endpoint_override: https://image.{region_name}.vendor.example
`

  it.effect("the vendor's values lie under the cloud's, and its URLs know the region", () =>
    Effect.gen(function* () {
      for (const key of ["profile", "cloud"]) {
        const files = {
          "/work/clouds.yaml": cloud(`${key}: vendor\nauth: {username: u, password: p}`),
          "/etc/openstack/clouds-public.yaml": vendors
        }
        const found = yield* shown({ files }, "prod")
        assert.strictEqual(found.auth["authUrl"], "https://RA.vendor.example/v3")
        assert.strictEqual(found.auth["userDomainName"], "V")
        assert.strictEqual(found.region, "RA")
        assert.deepStrictEqual(found.interfaces, ["internal"])
        assert.strictEqual(found.services["image"]?.endpoint, "https://image.RA.vendor.example")
        const own = { ...files, "/work/clouds.yaml": `${files["/work/clouds.yaml"]}    region_name: RX\n` }
        assert.strictEqual((yield* shown({ files: own }, "prod")).auth["authUrl"], "https://RX.vendor.example/v3")
      }
    })
  )

  it.effect("names in braces are replaced in auth_url and in all settings beside auth, and in no secret", () =>
    Effect.gen(function* () {
      const names = cloud(
        [
          'auth: {auth_url: "https://{region_name}.k", username: "u-{site}", password: "https://{region_name}"}',
          "token: t-{site}",
          "site: S",
          "host: i.{site}",
          "region_name: R1",
          "cacert: /{region_name}.pem",
          "image_endpoint_override: https://{host}/{region_name}",
          "image_service_name: glance-{site}-{token}",
          'image_interface: "{end}"',
          "end: admin"
        ].join("\n")
      )
      const found = yield* shown({ files: { "/work/clouds.yaml": names, "/R1.pem": "CA" } }, "prod")
      assert.deepStrictEqual(found.auth, {
        authUrl: "https://R1.k",
        username: "u-{site}",
        password: "https://{region_name}",
        token: "t-{site}"
      })
      assert.deepStrictEqual(found.tls, { verify: true, ca: "CA" })
      assert.deepStrictEqual(found.services["image"], {
        endpoint: "https://i.S/R1",
        name: "glance-S-{token}",
        interfaces: ["admin"]
      })
      const nowhere = cloud('auth: {auth_url: "https://k{region_name}"}')
      assert.strictEqual(
        (yield* shown({ files: { "/work/clouds.yaml": nowhere } }, "prod")).auth["authUrl"],
        "https://k"
      )
    })
  )

  it.effect("an unknown one is an error only when the cloud lacks its auth_url", () =>
    Effect.gen(function* () {
      const files = { "/work/clouds.yaml": cloud("profile: nobody\nauth: {username: u}") }
      assert.include(yield* message({ files }, "prod"), "profile nobody: no clouds-public.yaml in /work, ")
      const public_ = { ...files, "/work/clouds-public.yaml": vendors }
      assert.include(yield* message({ files: public_ }, "prod"), "profile nobody: not in /work/clouds-public.yaml")
      const whole = { "/work/clouds.yaml": cloud("profile: nobody\nauth: {auth_url: http://k}") }
      assert.strictEqual((yield* shown({ files: whole }, "prod")).auth["authUrl"], "http://k")
    })
  )

  it.effect("a URL is told to be unsupported", () =>
    Effect.gen(function* () {
      const files = { "/work/clouds.yaml": cloud("profile: https://vendor.example") }
      const error = yield* Effect.flip(load({ files }, "prod"))
      assert.strictEqual(error.reason._tag, "Unsupported")
    })
  )
})

describe("regions", () => {
  const regions = cloud(`
regions:
  - name: A
    values: {auth: {auth_url: https://a}, interface: admin}
  - B
auth: {username: u, auth_url: https://both}`)

  it.effect("the first one is taken, with its values over the cloud's", () =>
    Effect.gen(function* () {
      const found = yield* shown({ files: { "/work/clouds.yaml": regions } }, "prod")
      assert.strictEqual(found.region, "A")
      assert.deepStrictEqual(found.interfaces, ["admin"])
      assert.deepStrictEqual(found.auth, { authUrl: "https://a", username: "u" })
    })
  )

  it.effect("OS_REGION_NAME picks among them, and means nothing to a cloud that has it not", () =>
    Effect.gen(function* () {
      const files = { "/work/clouds.yaml": regions }
      const found = yield* shown({ files, env: { OS_REGION_NAME: "B" } }, "prod")
      assert.strictEqual(found.region, "B")
      assert.strictEqual(found.auth["authUrl"], "https://both")
      assert.strictEqual((yield* shown({ files, env: { OS_REGION_NAME: "C" } }, "prod")).region, "A")
      const one = { "/work/clouds.yaml": plain }
      assert.strictEqual((yield* shown({ files: one, env: { OS_REGION_NAME: "B" } }, "prod")).region, "R1")
    })
  )

  it.effect("a region's value of nothing leaves the cloud's, and a setting beside values is an error", () =>
    Effect.gen(function* () {
      const empty = cloud("interface: admin\nregions: [{name: A, values: {interface: , auth: , region_name: }}]")
      const found = yield* shown({ files: { "/work/clouds.yaml": empty } }, "prod")
      assert.deepStrictEqual(found.interfaces, ["admin"])
      assert.strictEqual(found.region, "A")
      const stray = cloud("regions: [{name: A, interface: admin}]")
      assert.include(
        yield* message({ files: { "/work/clouds.yaml": stray } }, "prod"),
        'regions: A: interface must be under "values"'
      )
    })
  )

  it.effect("region_name may be a list or a text with commas", () =>
    Effect.gen(function* () {
      for (const text of ["region_name: R1,R2", "region_name: [R1, R2]"]) {
        assert.strictEqual((yield* shown({ files: { "/work/clouds.yaml": cloud(text) } }, "prod")).region, "R1")
      }
      const files = { "/work/clouds.yaml": cloud("regions:\n  - values: {}") }
      assert.include(yield* message({ files }, "prod"), "an entry of regions must be a name")
    })
  )
})

describe("legacy and misplaced keys", () => {
  const auth = (text: string) =>
    Effect.map(shown({ files: { "/work/clouds.yaml": cloud(text) } }, "prod"), (found) => found.auth)

  it.effect("tenants are projects, and the newer word wins", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* auth("auth: {tenant_name: t}"), { projectName: "t" })
      assert.deepStrictEqual(yield* auth("auth: {tenant-id: t, project_id: p}"), { projectId: "p" })
      assert.deepStrictEqual(yield* auth("tenant-id: t"), { projectId: "t" })
    })
  )

  it.effect("values beside auth count, before it for scope and token, after it for the user", () =>
    Effect.gen(function* () {
      const found = yield* auth(
        "username: outer\nproject_id: outer\ntoken: outer\nauth: {username: inner, project_id: inner, token: inner}"
      )
      assert.deepStrictEqual(found, { username: "inner", projectId: "outer", token: "outer" })
      assert.deepStrictEqual(yield* auth("auth_url: http://k\npassword: p"), { authUrl: "http://k", password: "p" })
    })
  )

  it.effect("a domain said once is the user's and the project's", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* auth("auth: {project_name: p, domain_id: d, user_domain_id: u}"), {
        projectName: "p",
        userDomainId: "u",
        projectDomainId: "d"
      })
      assert.deepStrictEqual(yield* auth("domain_id: d\nauth: {project_name: p}"), {
        projectName: "p",
        userDomainId: "d",
        projectDomainId: "d"
      })
      assert.deepStrictEqual(yield* auth("domain_name: d\nauth: {username: u}"), { username: "u", domainName: "d" })
    })
  )

  it.effect("endpoint_type is the interface, in all its forms", () =>
    Effect.gen(function* () {
      const files = {
        "/work/clouds.yaml": cloud(
          "endpoint_type: internalURL\nimage_interface: [admin, publicURL]\nobject-store-endpoint-type: public"
        )
      }
      const found = yield* shown({ files }, "prod")
      assert.deepStrictEqual(found.interfaces, ["internal"])
      assert.deepStrictEqual(found.services["image"]?.interfaces, ["admin", "public"])
      assert.deepStrictEqual(found.services["object_store"]?.interfaces, ["public"])
      const wrong = { "/work/clouds.yaml": cloud("interface: outside") }
      assert.include(yield* message({ files: wrong }, "prod"), "interface: must be public, internal or admin")
    })
  )

  it.effect("scalars stay as they are typed, and anchors merge", () =>
    Effect.gen(function* () {
      const files = {
        "/work/clouds.yaml": `
base: &base {auth_url: http://k, project_id: 12345678901234567890123456789e12}
clouds:
  prod:
    auth: {<<: *base, username: yes, password: 0123}
`
      }
      assert.deepStrictEqual((yield* shown({ files }, "prod")).auth, {
        authUrl: "http://k",
        projectId: "12345678901234567890123456789e12",
        username: "yes",
        password: "0123"
      })
    })
  )

  it.effect("services have their own region, type, name and endpoint", () =>
    Effect.gen(function* () {
      const files = {
        "/work/clouds.yaml": cloud(
          [
            "image_endpoint: https://old",
            "image_endpoint_override: https://new",
            "image_region_name: R2",
            "image_service_type: image2",
            "image_service_name: glance2",
            "object_store_endpoint: https://swift"
          ].join("\n")
        )
      }
      assert.deepStrictEqual((yield* shown({ files }, "prod")).services, {
        image: { endpoint: "https://new", region: "R2", type: "image2", name: "glance2" },
        object_store: { endpoint: "https://swift" }
      })
    })
  )
})

describe("OS_* variables", () => {
  const env = {
    OS_AUTH_URL: "https://k/v3",
    OS_USERNAME: "u",
    OS_PASSWORD: "p",
    OS_TENANT_NAME: "t",
    OS_USER_DOMAIN_NAME: "Default",
    OS_ENDPOINT_TYPE: "internalURL",
    OS_REGION_NAME: "R1",
    OS_IMAGE_ENDPOINT_OVERRIDE: "https://image",
    OS_INSECURE: "true",
    OS_PROJECT_ID: ""
  }

  it.effect("are the cloud envvars, which goes before a file's only cloud", () =>
    Effect.gen(function* () {
      for (const name of ["envvars", undefined]) {
        const found = yield* shown({ env, files: { "/work/clouds.yaml": plain } }, name)
        assert.strictEqual(found.name, "envvars")
        assert.isUndefined(found.file)
        assert.deepStrictEqual(found.auth, {
          authUrl: "https://k/v3",
          username: "u",
          password: "p",
          projectName: "t",
          userDomainName: "Default"
        })
        assert.deepStrictEqual(found.interfaces, ["internal"])
        assert.strictEqual(found.region, "R1")
        assert.strictEqual(found.services["image"]?.endpoint, "https://image")
        assert.isFalse(found.tls.verify)
      }
    })
  )

  it.effect("OS_DOMAIN_NAME beside a project is the user's domain and the project's, and no scope", () =>
    Effect.gen(function* () {
      const found = yield* shown({ env: { OS_USERNAME: "u", OS_PROJECT_NAME: "p", OS_DOMAIN_NAME: "d" } }, "envvars")
      assert.deepStrictEqual(found.auth, {
        username: "u",
        projectName: "p",
        userDomainName: "d",
        projectDomainName: "d"
      })
    })
  )

  it.effect("do not touch a cloud of a file", () =>
    Effect.gen(function* () {
      const found = yield* shown({ env, files: { "/work/clouds.yaml": plain } }, "prod")
      assert.strictEqual(found.auth["username"], "demo")
      assert.strictEqual(found.region, "R1")
      assert.isTrue(found.tls.verify)
    })
  )

  it.effect("OS_CLOUD names the default, OS_CLOUD_NAME the pseudo-cloud", () =>
    Effect.gen(function* () {
      const files = { "/work/clouds.yaml": `${plain}  dev: {auth: {username: dev}}\n` }
      assert.strictEqual((yield* shown({ files, env: { OS_CLOUD: "dev" } })).name, "dev")
      assert.strictEqual((yield* shown({ files, env: { ...env, OS_CLOUD: "dev" } })).name, "dev")
      assert.strictEqual((yield* shown({ env: { ...env, OS_CLOUD_NAME: "mine" } }, "mine")).auth["username"], "u")
      assert.include(yield* message({ files }), "no cloud is named: give one of prod, dev")
      const clash = { files, env: { ...env, OS_CLOUD_NAME: "prod" } }
      assert.include(yield* message(clash, "prod"), "/work/clouds.yaml: defines a cloud named prod")
    })
  )

  it.effect("selectors alone are no cloud", () =>
    Effect.gen(function* () {
      const selectors = { OS_REGION_NAME: "R", OS_CLIENT_CONFIG_FILE: "/nowhere", OS_TEST_X: "1", OS_LOG_Y: "1" }
      const text = yield* message({ env: selectors }, "envvars")
      assert.include(text, "no OS_* variables are set")
      assert.strictEqual((yield* shown({ env: selectors, files: { "/work/clouds.yaml": plain } })).name, "prod")
    })
  )

  it.effect("a token and an endpoint are taken", () =>
    Effect.gen(function* () {
      const found = yield* shown({ env: { OS_TOKEN: "tok", OS_ENDPOINT: "http://glance:9292" } }, "envvars")
      assert.deepStrictEqual(found.auth, { token: "tok", endpoint: "http://glance:9292" })
    })
  )
})

describe("certificates", () => {
  const files = { "/home/u/ca.pem": "CA", "/work/rel.pem": "REL", "/c.pem": "CERT", "/k.pem": "KEY" }
  const tls = (text: string) =>
    Effect.map(shown({ files: { ...files, "/work/clouds.yaml": cloud(text) } }, "prod"), (found) => ({
      ...found.tls,
      ...(found.tls.key === undefined ? {} : { key: Redacted.value(found.tls.key) })
    }))

  it.effect("files are read, ~ is the home folder, a relative path is taken from the current one", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* tls("cacert: ~/ca.pem"), { verify: true, ca: "CA" })
      assert.deepStrictEqual(yield* tls("cacert: rel.pem"), { verify: true, ca: "REL" })
      assert.deepStrictEqual(yield* tls("verify: /home/u/ca.pem"), { verify: true, ca: "CA" })
      assert.deepStrictEqual(yield* tls("cert: /c.pem\nkey: /k.pem"), { verify: true, cert: "CERT", key: "KEY" })
      assert.deepStrictEqual(yield* tls("cert: /c.pem"), { verify: true, cert: "CERT", key: "CERT" })
    })
  )

  it.effect("only an explicit word turns the check off", () =>
    Effect.gen(function* () {
      for (const text of [
        "verify: false",
        "verify: 'False'",
        "insecure: true",
        "verify: no",
        "verify: true\ninsecure: on"
      ]) {
        assert.deepStrictEqual(yield* tls(text), { verify: false }, text)
      }
      for (const text of ["verify: true", "verify:", "insecure: false", 'insecure: ""']) {
        assert.deepStrictEqual(yield* tls(text), { verify: true }, text)
      }
      const wrong = { files: { "/work/clouds.yaml": cloud("verify: maybe") } }
      assert.include(yield* message(wrong, "prod"), "verify: must be true or false")
    })
  )

  it.effect("a missing one is an error, unless nothing is checked against it", () =>
    Effect.gen(function* () {
      for (const key of ["cacert", "cert"]) {
        const machine = { files: { "/work/clouds.yaml": cloud(`${key}: ~/gone.pem`) } }
        assert.include(yield* message(machine, "prod"), `${key}: /home/u/gone.pem does not exist`)
      }
      assert.deepStrictEqual(yield* tls("verify: false\ncacert: /gone.pem"), { verify: false })
      const machine = { files: { "/work/clouds.yaml": cloud("cacert: /l.pem") }, locked: ["/l.pem"] }
      assert.include(yield* message(machine, "prod"), "cacert: /l.pem cannot be read")
    })
  )
})

describe("errors", () => {
  it.effect("an unknown cloud: the known ones and the file, or the folders", () =>
    Effect.gen(function* () {
      const files = { "/work/clouds.yaml": `${plain}  dev: {}\n` }
      assert.strictEqual(
        yield* message({ files }, "prdo"),
        "cloud prdo: unknown cloud; known are prod, dev; read /work/clouds.yaml"
      )
      assert.strictEqual(
        yield* message({ env: { OS_CLIENT_CONFIG_FILE: "/x.yaml" } }, "prod"),
        "cloud prod: unknown cloud; known are none; looked for clouds.yaml (.yml, .json) in " +
          "/x.yaml, /work, /home/u/.config/openstack, /etc/xdg/openstack, /etc/openstack"
      )
      for (const name of ["constructor", "__proto__", "toString"]) {
        assert.include(yield* message({ files }, name), "unknown cloud")
      }
    })
  )

  it.effect("broken YAML: file and line, and never the line's text", () =>
    Effect.gen(function* () {
      const broken: ReadonlyArray<readonly [string, number]> = [
        ["clouds:\n  prod:\n    password: @hush-hush\n", 3],
        ["clouds:\n  prod:\n    password: %hush-hush\n", 3],
        ["clouds:\n  prod:\n    password: hush: hush-hush: x\n", 3],
        ["clouds:\n  prod:\n\tpassword: hush-hush\n", 3],
        ["clouds:\n  prod:\n    password: 'hush-hush\n", 3],
        ['clouds:\n  prod:\n    password: "hush-\\qhush"\n', 3],
        ["clouds:\n  prod: [hush-hush\n\n\n", 2],
        ["clouds: {}\n---\npassword: hush-hush\n", 2],
        ["clouds:\n  prod: {password: !hush-hush x}\n", 2],
        ['{"clouds": {"prod": {"password": "hush-hush"', 1]
      ]
      for (const [text, line] of broken) {
        for (const path of ["/work/clouds.yaml", "/work/secure.yaml", "/work/clouds.json"]) {
          const error = yield* Effect.flip(load({ files: { [path]: text } }, "prod"))
          assert.include(error.message, `${path}:${line}: not valid YAML: `, text)
          assert.notInclude(inspect(error, { depth: 9, showHidden: true }), "hush-")
        }
      }
      const alias = yield* Effect.flip(load({ files: { "/work/clouds.yaml": "clouds: {p: *hush-hush }\n" } }, "prod"))
      assert.include(alias.message, "/work/clouds.yaml: not valid YAML: an alias")
      assert.notInclude(inspect(alias, { depth: 9, showHidden: true }), "hush-")
    })
  )

  it.effect("what is not a mapping, and URLs that are none or hold a password", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [string, string]> = [
        ["- a\n- b\n", '/work/clouds.yaml: must be a mapping with a key "clouds"'],
        ["clouds: [a]\n", "/work/clouds.yaml: clouds: must be a mapping of names to clouds"],
        ["clouds: {prod: x}\n", "/work/clouds.yaml: clouds.prod: must be a mapping"],
        [cloud("auth: {auth_url: k.example}"), "auth_url: must be an http:// or https:// URL"],
        [cloud("auth: {auth_url: 'https://u:hush@k'}"), "auth_url: must not hold a user name or password"],
        [cloud("key: /k.pem"), "key: is given without cert"]
      ]
      for (const [text, expected] of cases) {
        const found = yield* message({ files: { "/work/clouds.yaml": text } }, "prod")
        assert.include(found, expected)
        assert.notInclude(found, "hush")
      }
      assert.include(yield* message({ files: { "/work/clouds.yaml": "" } }, "prod"), "known are none")
    })
  )
})
