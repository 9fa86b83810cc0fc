// The description of the HTTP API for tools: openapi.json, which the build puts into the program.
#pragma once

#include <string_view>

namespace dkv::http {

extern const std::string_view kOpenApi;

}  // namespace dkv::http
