// GET /v1/kv: which records are asked for, and the JSON of a page. README.md in this folder has the format.
#pragma once

#include <string>

#include "gateway/http/target.hpp"
#include "messages/scan.hpp"

namespace dkv::http {

class Parameters;

/// A parameter that is true, false or left out. Errors: bad_request.
Result<bool> read_flag(const Parameters& parameters, const char* name);

/// From the query. Errors: bad_request.
Result<ScanOptions> read_scan(const Target& target);

/// {"items":[{"key":…,"value":…,"etag":…},…],"cursor":…}
std::string page_json(const ScanResult& page, bool keys_only);

}  // namespace dkv::http
