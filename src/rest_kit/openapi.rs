//! The OpenAPI document, put together from what the handlers say about themselves.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Components, Content, HeaderBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Paths, Ref,
    ResponseBuilder, Server, Type,
};

use super::dialect::{self, Dialect, KEY_HEADERS, Part};
use waymark_auth::extract;

/// Everything that REST clients can ask, as OpenAPI 3.1.
pub fn document(parts: impl IntoIterator<Item = Part>) -> OpenApi {
    let info = InfoBuilder::new()
        .title("Waymark")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "REST for clients of services that record progress. Everything here, and more, is also to be had through \
             GraphQL at /graphql.",
        ))
        .build();
    let mut document = OpenApiBuilder::new().info(info).paths(Paths::new()).components(Some(components())).build();
    for Part { dialect, document: mut part, .. } in parts {
        for item in part.paths.paths.values_mut() {
            complete(dialect, item);
        }
        document.merge(part);
    }
    document
}

/// Adds what is the same for all operations of a dialect.
fn complete(dialect: Dialect, item: &mut PathItem) {
    if dialect == Dialect::Collections {
        item.servers = Some(vec![Server::new("/"), Server::new("/api/v1")]);
    }
    for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
        operation.tags = Some(vec![dialect.name().to_owned()]);
        let mut common = vec![
            ("429", "More requests than are allowed. Retry-After says when to try again, in seconds."),
            ("500", "A fault of the server."),
            ("503", "The server cannot answer at the moment. Retry-After says when to try again, in seconds."),
        ];
        if operation.request_body.is_some() {
            common.extend([("408", "The body did not come in time."), ("413", "The body is too long.")]);
        }
        for (status, description) in common {
            add_fault(dialect, operation, status, description);
        }
    }
}

fn add_fault(dialect: Dialect, operation: &mut Operation, status: &str, description: &str) {
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/json", Content::new(Some(Ref::from_schema_name(format!("{}Error", dialect.name())))));
    if matches!(status, "429" | "503") {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
        response = response.header("Retry-After", HeaderBuilder::new().schema(seconds).build());
    }
    operation.responses.responses.insert(status.to_owned(), response.build().into());
}

/// The faults of all dialects, and the credentials.
fn components() -> Components {
    let mut components = Components::new();
    dialect::describe_faults(&mut components);

    let described = ApiKeyValue::with_description;
    let mut schemes = vec![
        (
            "SignedFetch",
            SecurityScheme::ApiKey(ApiKey::Header(described(
                extract::CHAIN.first().copied().unwrap_or_default(),
                "Signed fetch (ADR-44): the links of the chain in x-identity-auth-chain-0 and so on, each a JSON object \
                 with type, payload and signature; x-identity-timestamp in milliseconds; x-identity-metadata, a JSON \
                 object. The last link signs method:path:timestamp:metadata.",
            ))),
        ),
        ("UserToken", {
            let mut token = Http::new(HttpAuthScheme::Bearer);
            token.bearer_format = Some("JWT".to_owned());
            token.description = Some("A JSON Web Token of the user.".to_owned());
            SecurityScheme::Http(token)
        }),
        (
            "WebApiKey",
            SecurityScheme::ApiKey(ApiKey::Query(described("y", "An API key with the scope profiles:read."))),
        ),
        (
            "ApiKey",
            SecurityScheme::ApiKey(ApiKey::Header(described("x-api-key", "An API key with the scope profiles:read."))),
        ),
    ];
    schemes.extend(["GftApiKey_", "GftApiKey", "PlainGftApiKey"].into_iter().zip(KEY_HEADERS).map(|(name, header)| {
        let scheme = described(header, "An API key with the scope profiles:read.");
        (name, SecurityScheme::ApiKey(ApiKey::Header(scheme)))
    }));
    for (name, scheme) in schemes {
        components.add_security_scheme(name, scheme);
    }
    components
}
