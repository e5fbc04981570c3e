"""The command line: commands in `commands`, their terminal output in `render`.

Nothing outside this package imports it. A command parses its arguments, calls one function of a lower
package and prints the result.
"""
