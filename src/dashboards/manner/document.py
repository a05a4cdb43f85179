"""Where the API's document is, and what it says of credentials."""

from typing import Final

from litestar.openapi.spec import Components, SecurityScheme

DOCUMENT_PATH: Final = "/api/v1/openapi.json"
"""Its own router: Litestar answers whatever else is under the document's with a page of its own."""

SECURITY: Final = Components(
    security_schemes={
        "token": SecurityScheme(
            type="http",
            scheme="bearer",
            description=(
                "A service token, made by `bonewatch token create`, or a JSON Web Token of the site's OpenID Connect "
                "provider; a route names the scope that it needs"
            ),
        ),
        "password": SecurityScheme(
            type="http", scheme="basic", description="A person's name and password; the role says how much is permitted"
        ),
        "session": SecurityScheme(
            type="apiKey",
            security_scheme_in="cookie",
            name="bonewatch_session",
            description="Of the console; reads only",
        ),
    }
)
"""Ways to sign in, by the names that routes use."""
