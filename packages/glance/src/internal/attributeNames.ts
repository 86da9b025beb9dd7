/**
 * Keys of an image's record that are not properties.
 */

/** Attributes that have a parameter of their own or are the service's: as properties they would be refused, or worse. */
export const attributeNames: ReadonlySet<string> = new Set(
  (
    "id name status visibility protected checksum size virtual_size created_at updated_at deleted deleted_at " +
    "disk_format container_format min_disk min_ram tags owner file self schema location locations direct_url stores " +
    "os_hidden os_hash_algo os_hash_value is_public"
  ).split(" ")
)
