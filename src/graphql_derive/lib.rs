//! Follows from the resolvers of an object how its fields are written, so that no list beside them has to say it.
//!
//! A resolver that takes nothing but the object has its value at once. [`macro@object`] and [`macro@Plain`] make a writer of
//! each of these and implement `Plain` of `waymark-graphql-kit`, which tells what a plan is. Fields that take arguments
//! or wait for something are left to the engine.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::ext::IdentExt as _;
use syn::{
    Attribute, Data, DeriveInput, Fields, FnArg, GenericArgument, Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, Pat,
    PathArguments, ReturnType, Type, parse_macro_input,
};

/// `#[object]` is `#[async_graphql::Object]` for an object that is written by plans where that can be; it takes the same
/// arguments.
///
/// `#[main]` marks a field that takes no more of its row than `Extent::Main`. `#[together(path)]` names the
/// function that answers a field with one argument for many objects at once; its type is called `SideBySide` where the
/// macro stands.
#[proc_macro_attribute]
pub fn object(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let (arguments, mut object) = (Tokens::from(arguments), parse_macro_input!(item as ItemImpl));
    let (mut written, mut getters, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for item in &mut object.items {
        let ImplItem::Fn(method) = item else { continue };
        if let Some(way) = take(&mut method.attrs, "together") {
            let named = name_of(&method.sig.ident, &method.attrs).zip(argument_of(method));
            let Some((name, argument)) = named else { return error("`together` is for fields with an argument") };
            let Ok(path) = way.parse_args::<syn::Path>() else { return error("`together` takes a path") };
            together.push(quote!(#name => Some((#path, #argument)),));
        }
        let is_main = take(&mut method.attrs, "main").is_some();
        let Some((ty, name)) = value_of(method).zip(name_of(&method.sig.ident, &method.attrs)) else { continue };
        let getter = format_ident!("{}_now", method.sig.ident.unraw());
        let body = std::mem::replace(&mut method.block, syn::parse_quote!({ self.#getter() }));
        getters.push(quote!(fn #getter(&self) -> #ty #body));
        let value = if let Type::Reference(_) = ty { quote!(object.#getter()) } else { quote!(&object.#getter()) };
        written.push(Written { name, is_main, ty, value });
    }
    let (ty, plain) = (&object.self_ty, plain(&object.self_ty, &written));
    let together = (!together.is_empty()).then(|| {
        quote! {
            /// Returns what answers the field of this name for many objects at once, and the name of its argument.
            pub(crate) fn together(name: &str) -> Option<(SideBySide, &'static str)> {
                match name {
                    #(#together)*
                    _ => None,
                }
            }
        }
    });
    quote! {
        #[::async_graphql::Object(#arguments)]
        #object
        impl #ty {
            #(#getters)*
            #together
        }
        #plain
    }
    .into()
}

/// The same for the fields of a `SimpleObject`.
#[proc_macro_derive(Plain)]
pub fn derive_plain(item: TokenStream) -> TokenStream {
    let object = parse_macro_input!(item as DeriveInput);
    let Data::Struct(data) = object.data else { return error("only structs have fields") };
    let Fields::Named(fields) = data.fields else { return error("fields have names") };
    let written = fields.named.into_iter().filter_map(|field| {
        let ident = field.ident?;
        let name = name_of(&ident, &field.attrs)?;
        Some(Written { name, is_main: false, ty: field.ty, value: quote!(&object.#ident) })
    });
    let ident = object.ident;
    plain(&syn::parse_quote!(#ident), &written.collect::<Vec<_>>()).into()
}

fn error(message: &str) -> TokenStream {
    quote!(compile_error!(#message);).into()
}

/// A field that is written.
struct Written {
    name: LitStr,
    is_main: bool,
    ty: Type,
    /// A reference to its value, given `object`.
    value: Tokens,
}

/// How `object` is written.
fn plain(object: &Type, written: &[Written]) -> Tokens {
    let arms = written.iter().map(|Written { name, ty, value, .. }| {
        let (plan, write) = (plan(ty), write(ty, value, 0));
        quote!(#name => {
            let plan = #plan;
            Some(Box::new(move |object: &Self, json: &mut ::waymark_graphql_kit::plan::Json| { #write }))
        })
    });
    let main = written.iter().filter(|field| field.is_main).map(|field| &field.name);
    quote! {
        impl ::waymark_graphql_kit::plan::Plain for #object {
            fn writer(
                field: &::async_graphql::parser::types::Field,
            ) -> Option<::waymark_graphql_kit::plan::Writer<Self>> {
                #[allow(unused_imports)]
                use ::waymark_graphql_kit::plan::{AsName as _, AsObject as _, AsValue as _};
                let selection = &field.selection_set.node;
                match field.name.node.as_str() {
                    #(#arms)*
                    _ => None,
                }
            }

            fn is_main(name: &str) -> bool {
                [#(#main),*].contains(&name)
            }
        }
    }
}

/// What a type is around what is written in it.
enum Shape<'a> {
    Reference(&'a Type),
    Shared(&'a Type),
    Optional(&'a Type),
    List(&'a Type),
    Ready(&'a Type),
    Value,
}

impl<'a> Shape<'a> {
    fn of(ty: &'a Type) -> Self {
        if let Type::Reference(reference) = ty {
            return Self::Reference(&reference.elem);
        }
        let Type::Path(path) = ty else { return Self::Value };
        let Some(last) = path.path.segments.last() else { return Self::Value };
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Self::Value };
        let Some(GenericArgument::Type(inner)) = arguments.args.first() else { return Self::Value };
        match last.ident.to_string().as_str() {
            "Arc" => Self::Shared(inner),
            "Option" => Self::Optional(inner),
            "List" => Self::List(inner),
            "Ready" => Self::Ready(inner),
            _ => Self::Value,
        }
    }
}

/// What is worked out once for a field, given `selection`; gives up where the engine has to see to it.
fn plan(ty: &Type) -> Tokens {
    match Shape::of(ty) {
        Shape::Reference(inner)
        | Shape::Shared(inner)
        | Shape::Optional(inner)
        | Shape::List(inner)
        | Shape::Ready(inner) => plan(inner),
        Shape::Value => quote!((&&&::waymark_graphql_kit::plan::Of::<#ty>::NEW).plan(selection)?),
    }
}

/// Writes what `value` refers to into `json`, given `plan`.
fn write(ty: &Type, value: &Tokens, depth: usize) -> Tokens {
    let inner = format_ident!("value{depth}");
    let (inner, depth) = (quote!(#inner), depth + 1);
    match Shape::of(ty) {
        Shape::Reference(ty) => write(ty, value, depth),
        Shape::Shared(ty) => write(ty, &quote!(&**#value), depth),
        Shape::Ready(ty) => write(ty, &quote!(&(#value).0), depth),
        Shape::Optional(ty) => {
            let some = write(ty, &inner, depth);
            quote!(match #value { Some(#inner) => { #some } None => json.extend_from_slice(b"null") })
        }
        Shape::List(ty) => {
            let each = write(ty, &inner, depth);
            quote! {
                let mut before = b'[';
                for #inner in (#value).iter() {
                    json.push(before);
                    before = b',';
                    #each
                }
                json.extend_from_slice(if before == b'[' { b"[]" } else { b"]" });
            }
        }
        Shape::Value => quote!((&&&::waymark_graphql_kit::plan::Of::<#ty>::NEW).write(#value, &plan, json);),
    }
}

/// What a resolver gives back that takes nothing but the object.
fn value_of(method: &ImplItemFn) -> Option<Type> {
    let only_self = method.sig.inputs.len() == 1 && matches!(method.sig.inputs.first(), Some(FnArg::Receiver(_)));
    match &method.sig.output {
        ReturnType::Type(_, ty) if only_self && method.sig.asyncness.is_some() => Some((**ty).clone()),
        _ => None,
    }
}

/// The name of a field in the schema; `None` where it is no field.
fn name_of(ident: &Ident, attributes: &[Attribute]) -> Option<LitStr> {
    let (mut name, mut is_field) = (None, true);
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("graphql")) {
        // What else stands there is the engine's macro's business.
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                name = Some(meta.value()?.parse::<LitStr>()?);
            } else if meta.path.is_ident("skip") || meta.path.is_ident("flatten") {
                is_field = false;
            } else if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<syn::Expr>()?;
            }
            Ok(())
        });
    }
    is_field.then(|| name.unwrap_or_else(|| LitStr::new(&camel_case(&ident.unraw().to_string()), ident.span())))
}

fn camel_case(snake: &str) -> String {
    let mut camel = String::with_capacity(snake.len());
    for (place, word) in snake.split('_').filter(|word| !word.is_empty()).enumerate() {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        camel.push_str(&if place == 0 { first.to_owned() } else { first.to_uppercase() });
        camel.push_str(rest);
    }
    camel
}

/// The name in the schema of the argument of a field.
fn argument_of(method: &ImplItemFn) -> Option<LitStr> {
    method.sig.inputs.iter().find_map(|argument| match argument {
        FnArg::Typed(argument) if !matches!(*argument.ty, Type::Reference(_)) => match &*argument.pat {
            Pat::Ident(pattern) => name_of(&pattern.ident, &argument.attrs),
            _ => None,
        },
        _ => None,
    })
}

/// Removes an attribute, and gives it back.
fn take(attributes: &mut Vec<Attribute>, name: &str) -> Option<Attribute> {
    let place = attributes.iter().position(|attribute| attribute.path().is_ident(name))?;
    Some(attributes.remove(place))
}
