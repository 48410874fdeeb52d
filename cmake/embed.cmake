# cmake -DOUTPUT=x.cpp -DNAMESPACE=a::b -DHEADER=room/x.h -DFILES=function=path,function=path -P embed.cmake
# Writes a C++ source with one function per file that returns its bytes as std::string_view.
string(REPLACE "," ";" items "${FILES}")
set(code "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n")
foreach(item IN LISTS items)
    string(REGEX MATCH "^([a-z_]+)=(.+)$" matched "${item}")
    set(function ${CMAKE_MATCH_1})
    file(READ "${CMAKE_MATCH_2}" hex HEX)
    string(LENGTH "${hex}" digits)
    math(EXPR size "${digits} / 2")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    # A terminating zero keeps an empty file's array legal.
    string(APPEND code "\nstatic constexpr unsigned char k_${function}[] = {${bytes}0};\n"
                       "std::string_view ${function}() noexcept {\n"
                       "    return {reinterpret_cast<const char*>(k_${function}), ${size}};\n}\n")
endforeach()
string(APPEND code "\n}  // namespace ${NAMESPACE}\n")
file(WRITE "${OUTPUT}" "${code}")
