/** Entries of `clouds.yaml` named `prod`. */

/** Signs in as `demo`, for the project of that name. */
export const withPassword = (keystone: string, password: string): string => `  prod:
    region_name: RegionOne
    auth:
      auth_url: ${keystone}
      username: demo
      password: ${password}
      project_name: demo
      user_domain_name: Default
      project_domain_name: Default
`

export const withApplicationCredential = (keystone: string, id: string, secret: string): string => `  prod:
    region_name: RegionOne
    auth_type: v3applicationcredential
    auth:
      auth_url: ${keystone}
      application_credential_id: ${id}
      application_credential_secret: ${secret}
`
