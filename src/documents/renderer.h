// Conversations to text: chat templates, run by Jinja2 itself in one helper process that reaches neither
// files nor the network (template_helper.py). What a template is given is what the library `transformers`
// gives it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "documents/helper_process.h"
#include "documents/source.h"
#include "gguf/metadata.h"

namespace assay::documents {

/// Chat templates by name: "default", and "tool_use" where a model has another one for conversations with
/// tools.
struct Templates {
    std::map<std::string, std::string> texts;
    std::string where;                             ///< names their origin in errors
    std::map<std::string, std::string> variables;  ///< bos_token and the like
};

/// Those of the model's metadata. Empty where it has none.
Templates templates_of(const gguf::Metadata& metadata);

/// How templates are run.
struct RenderOptions {
    std::string python = "/usr/bin/python3";  ///< Debian's, which sees the package python3-jinja2
    std::chrono::milliseconds limit{10'000};  ///< for one conversation
    std::string variables;                    ///< a JSON object with more of them; empty: none
    std::string now;  ///< ISO 8601, the time that templates are told; empty: the present
};

/// The day that templates are told.
std::string day_of(const RenderOptions& options);

/// A stretch of a text and whose it is.
struct Span {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::int64_t owner = 0;  ///< the number of a message; -1: the tools
};

struct Rendered {
    std::string refusal;  ///< why the template does not take this conversation; otherwise empty
    std::string text;
    bool known = false;       ///< who says what
    bool all_known = false;   ///< what messages say is nowhere but in their spans
    std::vector<Span> spans;  ///< in bytes, rising and apart; what is in none is the template's
    /// Of each message but the last, where its text ends and that of the next begins; -1: not known.
    std::vector<std::int64_t> ends;
    bool dated = false;  ///< the template has asked for the time
};

class Renderer {
  public:
    /// Throws Error{Unsupported} that names the package where Python or Jinja2 is missing, or where the
    /// process cannot be confined; Error{BadFile} for a template that cannot be read, Error{Usage} for
    /// variables that are no object.
    Renderer(const Templates& templates, const RenderOptions& options);

    /// `where` names the conversation in errors. Throws Error{BadFile} for a template that takes longer than
    /// it may.
    Rendered render(const Conversation& conversation, bool with_ends, std::string_view where);

  private:
    HelperProcess process_;
    std::string where_;
    std::chrono::milliseconds limit_;
    bool has_tool_use_;
};

}  // namespace assay::documents
