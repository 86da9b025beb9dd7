/** The builds of one algorithm each, which hash-wasm ships without types. */
declare module "hash-wasm/dist/*.umd.min.js" {
  const exports: unknown
  export default exports
}
