package dev.curfew.frameworks

import dev.curfew.InvalidTokenException
import dev.curfew.Token
import dev.curfew.TokenResource
import dev.curfew.TokenStatus
import io.ktor.http.HttpStatusCode
import io.ktor.http.auth.HttpAuthHeader
import io.ktor.server.application.createRouteScopedPlugin
import io.ktor.server.auth.AuthenticationChecked
import io.ktor.server.auth.parseAuthorizationHeader
import io.ktor.server.auth.principal
import io.ktor.server.response.respond
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

fun ktorCheck(tokens: TokenResource) = createRouteScopedPlugin("Curfew") {
    on(AuthenticationChecked) { call ->
        if (call.principal<Any>() != null) { // else nobody is logged in
            val header = call.request.parseAuthorizationHeader() as? HttpAuthHeader.Single
            val status = try {
                val token = Token.peek(header?.blob ?: "")
                withContext(Dispatchers.IO) { tokens.check(token) } // off the event loop
            } catch (e: InvalidTokenException) { // such as a missing jti
                TokenStatus.UNKNOWN
            }
            when (status) {
                TokenStatus.ACTIVE -> {}
                TokenStatus.UNAVAILABLE -> call.respond(HttpStatusCode.ServiceUnavailable)
                else -> call.respond(HttpStatusCode.Unauthorized)
            }
        }
    }
}
